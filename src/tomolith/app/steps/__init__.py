"""The steps of a study, in the order in which they run. To add one: a file and a line."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tomolith.app.steps.base import Step
from tomolith.app.steps.compare import CompareStep
from tomolith.app.steps.ensemble import EnsembleStep
from tomolith.app.steps.evaluate import EvaluateStep
from tomolith.app.steps.import_ import ImportStep
from tomolith.app.steps.measure import MeasureStep
from tomolith.app.steps.phantom import PhantomStep
from tomolith.app.steps.predict import PredictStep
from tomolith.app.steps.reconstruct import ReconstructStep
from tomolith.app.steps.refine import RefineStep
from tomolith.app.steps.report import ReportStep
from tomolith.app.steps.train import TrainStep
from tomolith.app.steps.verdict import VerdictStep

_ORDER: tuple[Step, ...] = (
    PhantomStep(),
    ReconstructStep(),
    ImportStep(),
    TrainStep(),
    EnsembleStep(),
    PredictStep(),
    RefineStep(),
    EvaluateStep(),
    MeasureStep(),
    VerdictStep(),
    CompareStep(),
    ReportStep(),
)

STEPS: Mapping[str, Step] = MappingProxyType({step.name: step for step in _ORDER})
