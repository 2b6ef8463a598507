"""Numbers that the paper printed, in percent. Nothing here was measured by this project."""

from dataclasses import dataclass

Printed = tuple[int | None, int | None, int | None, int | None]
"""Rank 1, 5, 10 and 20; None where the paper prints a dash."""


@dataclass(frozen=True)
class Published:
    """Rows of the paper's tables for one data set, by method."""

    table1: dict[str, Printed]
    table2: dict[str, Printed]
    table3: dict[str, Printed]


PUBLISHED: dict[str, Published] = {
    "prid2011": Published(
        table1={
            "DVR": (29, 55, 66, 83),
            "SRID": (35, 59, 70, 80),
            "K. Liu et al.": (64, 87, 90, 92),
            "TDL": (57, 80, 88, 94),
            "RCN": (69, 88, 93, 96),
            "McLaughlin et al.": (70, 90, 95, 97),
            "Zheng et al.": (77, 94, None, 99),
            "Chen et al.": (77, 93, 95, 98),
        },
        table2={
            "Zheng et al. + Euclidean": (59, 94, 96, 99),
            "Zheng et al. + XQDA": (77, 94, None, 99),
            "Chen et al. + Euclidean": (77, 93, 95, 98),
        },
        table3={
            "spatial": (72, 88, 91, 95),
            "temporal": (70, 90, 93, 95),
            "fused": (75, 92, 93, 94),
            "parts": (77, 93, 95, 98),
        },
    ),
    "ilids-vid": Published(
        table1={
            "DVR": (23, 42, 55, 68),
            "SRID": (25, 45, 56, 66),
            "K. Liu et al.": (44, 72, 84, 92),
            "TDL": (46, 77, 90, 96),
            "RCN": (56, 88, 96, 98),
            "McLaughlin et al.": (58, 84, 91, 96),
            "Zheng et al.": (53, 81, None, 95),
            "Chen et al.": (61, 85, 94, 97),
        },
        table2={
            "Zheng et al. + Euclidean": (41, 70, 79, 85),
            "Zheng et al. + XQDA": (53, 81, None, 95),
            "Chen et al. + Euclidean": (61, 85, 94, 97),
        },
        table3={
            "spatial": (56, 83, 92, 95),
            "temporal": (55, 84, 90, 94),
            "fused": (59, 85, 93, 97),
            "parts": (61, 85, 94, 97),
        },
    ),
    "mars": Published(
        table1={"Zheng et al.": (65, 82, None, 89), "Chen et al.": (71, 89, 93, 96)},
        table2={
            "Zheng et al. + Euclidean": (59, 77, None, 87),
            "Zheng et al. + XQDA": (65, 82, None, 89),
            "Chen et al. + Euclidean": (71, 89, 93, 96),
        },
        table3={
            "spatial": (66, 88, 90, 92),
            "temporal": (64, 87, 91, 91),
            "fused": (69, 88, 90, 93),
            "parts": (71, 89, 93, 96),
        },
    ),
}
PUBLISHED["prid2011-178"] = PUBLISHED["prid2011"]
"""The paper has 200 people; beside the 178, its numbers are not like for like."""
