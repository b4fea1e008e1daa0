"""Stands in for the parts of the Slicer application that the slicer-core wheel lacks.

The scene, the nodes and the module logics are Slicer's own. What is ours, and only imitates: ``slicer.app``,
``slicer.modules``, ``slicer.i18n``, ``slicer.packaging``, the scripted-module base classes, the qMRML and ctk widgets,
and PythonQt's manners on PySide6. Tests that lean on the latter say ``stand_in`` in their names.
"""

from __future__ import annotations

from pathlib import Path

#: The checkout.
ROOT = Path(__file__).resolve().parents[3]
