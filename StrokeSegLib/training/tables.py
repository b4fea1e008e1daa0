"""The four papers' tables as they were published: numbers to print beside ours, never to be confused with ours.

Every paper measured on its own data. Beside each table stands what is contradictory in it, found by arithmetic; the
tests do that arithmetic again.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Heading of every column that repeats a paper.
THEIRS = "their number, their data"


@dataclass(frozen=True)
class Published:
    """A number as printed.

    Attributes:
        mean: The number.
        sd: What stands behind the ±, None where the paper prints none.
    """

    mean: float
    sd: float | None = None

    def __str__(self) -> str:
        return f"{self.mean:g}" if self.sd is None else f"{self.mean:g} ± {self.sd:g}"


@dataclass(frozen=True)
class Table:
    """One table of a paper.

    Attributes:
        paper, title: Where it stands.
        columns: Names of the numbers.
        rows: Row name -> its numbers, in the order of the columns; None where the paper prints none.
        notes: Contradictions found, and what limits a comparison.
    """

    paper: str
    title: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[Published | None, ...]]
    notes: tuple[str, ...]

    def number(self, row: str, column: str) -> Published:
        """One number.

        Raises:
            KeyError: There is no such row or column, or the paper prints nothing there.
        """
        found = self.rows[row][self.columns.index(column)] if column in self.columns else None
        if found is None:
            raise KeyError(f"{self.title}: {row}, {column}")
        return found


def _rows(
    rows: dict[str, tuple[float | tuple[float, float] | None, ...]],
) -> dict[str, tuple[Published | None, ...]]:
    def one(number: float | tuple[float, float] | None) -> Published | None:
        if number is None:
            return None
        return Published(*number) if isinstance(number, tuple) else Published(number)

    return {name: tuple(one(number) for number in numbers) for name, numbers in rows.items()}


_PERFUSION = "Modified 3D U-Net, Computers, Materials & Continua 71(3), 2022; ISLES 2018"
PERFUSION_RESULTS = Table(
    _PERFUSION,
    "Results of both networks, training and test",
    ("dice", "precision", "sensitivity", "jaccard"),
    _rows(
        {
            "classical, training": (0.48, 0.39, 0.99, 0.35),
            "classical, test": (0.36, 0.38, 0.37, 0.32),
            "proposed, training": (0.90, 0.83, 0.93, 0.89),
            "proposed, test": (0.58, 0.68, 0.60, 0.66),
        }
    ),
    (
        "proposed, test: Jaccard 0.66 above Dice 0.58 is impossible, for each case and for any mean of cases; "
        "a pooled Dice of 0.58 gives a Jaccard of 0.408",
        "proposed: a training loss of 0.618, if it is 1 - IoU, means Dice 0.553, not the 0.90 printed",
        "the labels of the test patients are hidden on the challenge's server, which returns no Jaccard",
        "the best of 24 teams of the challenge reached Dice 0.51",
    ),
)
PERFUSION_OTHERS = Table(
    _PERFUSION,
    "Table 2, comparison with other networks",
    ("dice", "precision", "sensitivity"),
    _rows(
        {
            "Proposed": (0.58, 0.68, 0.60),
            "D-UNet": (0.53, 0.63, 0.52),
            "X-Net": (0.48, 0.60, 0.47),
            "U-Net CNN": (0.46, 0.34, 0.44),
            "SegNet": (0.27, 0.19, 0.25),
            "PSPNet": (0.35, 0.25, 0.33),
            "V-Net": (0.43, 0.50, 0.49),
            "DeepLabv3+": (0.46, 0.34, 0.44),
            "ResUNet": (0.47, 0.35, 0.45),
            "2D Dense-UNet": (0.47, 0.35, 0.48),
        }
    ),
    ("the other networks' numbers were measured on T1-weighted MRI (ATLAS): another task",),
)

_NONCONTRAST = "Residual SE 3D U-Net, arXiv 2301.06793; 81 patients of one hospital, 5 folds"
_VOXEL_COLUMNS = ("dice", "sensitivity", "specificity", "precision")
NONCONTRAST_ABLATION = Table(
    _NONCONTRAST,
    "Table 1, parts added one after another",
    _VOXEL_COLUMNS,
    _rows(
        {
            "no preprocessing": ((0.508, 0.037), (0.597, 0.09), (0.9975, 0.0014), (0.519, 0.057)),
            "preprocessing": ((0.511, 0.023), (0.518, 0.035), (0.9980, 0.00092), (0.617, 0.038)),
            "+ weighted sampler": ((0.547, 0.025), (0.567, 0.076), (0.9975, 0.0016), (0.616, 0.069)),
            "+ residual": ((0.574, 0.016), (0.606, 0.064), (0.9975, 0.0013), (0.615, 0.049)),
            "+ SE": ((0.612, 0.064), (0.689, 0.059), (0.9965, 0.0020), (0.619, 0.044)),
            "+ standardization + weighted loss": (
                (0.628, 0.033), (0.699, 0.039), (0.9965, 0.0016), (0.619, 0.036),
            ),
        }
    ),
    (
        "the last row changes two things at once; ours are run apart",
        "standardization followed by min-max is the identity within the brain: what it changes is the background",
        "the text says that preprocessing gains 0.4% Dice, the table says 0.3%",
        "specificity is over the whole cropped volume, nearly all of it background",
    ),
)  # fmt: skip
NONCONTRAST_OVERLAP = Table(
    _NONCONTRAST,
    "Table 2, overlap of the windows",
    ("seconds", *_VOXEL_COLUMNS),
    _rows(
        {
            "25%": (45, (0.628, 0.033), (0.699, 0.039), (0.9965, 0.0016), (0.619, 0.036)),
            "50%": (90, (0.622, 0.022), (0.693, 0.047), (0.9965, 0.0016), (0.629, 0.036)),
            "75%": (440, (0.630, 0.025), (0.693, 0.049), (0.9965, 0.0016), (0.638, 0.030)),
        }
    ),
    (
        "the gain of 75% over 25%, 0.002 Dice, is below the folds' SD, and sensitivity falls",
        "the factor of 9.8 in time is that of the number of windows, 378 to 36 for a head of 300 x 370 x 270",
    ),
)

_DIFFUSION = "ResNet50-UNet, IJCSNS 22(11), 2022; ISLES 2015 SISS"
DIFFUSION_RESULTS = Table(
    _DIFFUSION,
    "Tables I and II, comparison with other networks",
    ("dice", "accuracy", "precision"),
    _rows(
        {
            "3D FC-DenseNet": (0.7913, None, 0.9267),
            "MK-DCNN": (0.57, None, None),
            "MI-UNet": (0.5672, None, 0.6545),
            "CSNet": (0.63, None, 0.74),
            "proposed": (0.6414, 0.9943, 0.9955),
        }
    ),
    (
        "precision 0.9955 of the lesion with Dice 0.6414 would mean sensitivity 0.473; it is likelier that of both "
        "classes together, which is nearly the accuracy",
        "marking nothing at all is nearly as accurate as 0.9943 where lesions are 1 to 2% of the pixels",
        "slices, not patients, were split 70/20/10: neighbors of a slice stand on both sides",
        "the printed accuracy, (TP + FP) / all, is none",
        "MI-UNet was measured on T1-weighted MRI, 3D FC-DenseNet on private data",
    ),
)

_PROJECTIONS = "DPN92-UNet in three planes, 2019; 300 scans, 30 for validation"
#: Patients with hemorrhage and with ischemia among the validation patients: the weights of the third column.
PROJECTIONS_VALIDATION = {"hemorrhage": 10, "ischemia": 20}
PROJECTIONS_DICE = Table(
    _PROJECTIONS,
    "Table 1, mean patient-wise Dice on the validation patients",
    ("hemorrhage", "ischemia", "both"),
    _rows(
        {
            "DPN92-UNet": ((0.669, 0.003), (0.609, 0.012), (0.629, 0.003)),
            "pretrained": ((0.652, 0.021), (0.611, 0.006), (0.625, 0.005)),
            "pretrained + warm-up": ((0.625, 0.035), (0.542, 0.045), (0.570, 0.037)),
            "+ healthy": ((0.615, 0.026), (0.600, 0.023), (0.605, 0.012)),
            "pretrained + scSE": ((0.654, 0.025), (0.618, 0.017), (0.630, 0.009)),
            "TTA": ((0.683, 0.021), (0.606, 0.015), (0.632, 0.008)),
            "6-model ensemble": (0.675, 0.634, 0.648),
            "OOF ensemble, new data": (0.5573, 0.5243, 0.6163),
            "coronal": (0.547, 0.405, 0.457),
            "sagittal": (0.623, 0.425, 0.491),
            "three ensembles": (0.730, 0.668, 0.689),
            "+ closing": (0.732, 0.689, 0.703),
        }
    ),
    (
        "OOF ensemble, new data: 0.6163 for both lies above each of its parts; (IH + 2 IS) / 3 is 0.535",
        "coronal: 0.457 for both; (IH + 2 IS) / 3 is 0.452",
        "checkpoints, the ensemble's members and the planes' thresholds were chosen on the patients of this table",
        "patients without a lesion are not in it, nor is what was marked of the other class",
    ),
)

PUBLISHED = {
    "ct-perfusion": (PERFUSION_RESULTS, PERFUSION_OTHERS),
    "noncontrast-ct": (NONCONTRAST_ABLATION, NONCONTRAST_OVERLAP),
    "mri": (DIFFUSION_RESULTS,),
    "three-projection": (PROJECTIONS_DICE,),
}
