"""What an integer-only network keeps of its float32 twin, where it loses it, and beside what hardware."""

from intsim.measure.network.comparison import Cell, compare
from intsim.measure.network.picture import draw_places
from intsim.measure.network.places import by_place
from intsim.measure.network.report import write_comparison
from intsim.measure.network.statistics import difference, interval, with_interval
from intsim.measure.network.summary import summarise
from intsim.measure.network.tasks import TASKS, Data, Task, open_task
from intsim.measure.network.vectors import Vectors, read_vectors, write_vectors
from intsim.measure.network.widths import with_bits

__all__ = [
    "TASKS",
    "Cell",
    "Data",
    "Task",
    "Vectors",
    "by_place",
    "compare",
    "difference",
    "draw_places",
    "interval",
    "open_task",
    "read_vectors",
    "summarise",
    "with_bits",
    "with_interval",
    "write_comparison",
    "write_vectors",
]
