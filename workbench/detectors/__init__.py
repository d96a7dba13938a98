"""Detectors: what sees a phenomenon in the recorded signals, says so in words, and names the remedy to try.

A detector streams: it sees each value once, keeps a few numbers, and gives the same findings however the stream is cut
into blocks. Each module here whose class has an `id` is a generic detector, for anybody's run; methods bring their own.
"""

from workbench.detectors.base import Detector as Detector
from workbench.detectors.base import Detectors as Detectors
from workbench.detectors.catalogue import generic as generic
from workbench.detectors.catalogue import load as load
from workbench.detectors.recorded import scan as scan
