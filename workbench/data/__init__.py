"""Data sets as NumPy arrays, each with its licence, its SHA-256 and the command that brings it; no torch.

A data set is one module in `workbench.data.sets` that defines `DATASET`; they are found by walking that folder.
"""

from workbench.data.dataset import Data as Data
from workbench.data.dataset import DataSet as DataSet
from workbench.data.dataset import as_floats as as_floats
from workbench.data.registry import dataset as dataset
from workbench.data.registry import datasets as datasets
from workbench.data.registry import get as get
from workbench.data.registry import list_sets as list_sets
from workbench.data.registry import load as load
