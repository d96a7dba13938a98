"""One callback gives any LightningModule the class charts."""

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import workbench
from workbench.cards import InvalidValue
from workbench.figures.own import card_for

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*litlogger"),
    pytest.mark.filterwarnings("ignore:.*number of training batches"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec:FutureWarning"),
]


class Lit(pl.LightningModule):
    """A classifier that is told the answer in its input, so that its predictions are known."""

    def __init__(self, returns=None):
        super().__init__()
        self.scale, self.returns = torch.nn.Parameter(torch.ones(())), returns

    def forward(self, x):
        return self.scale * x

    def training_step(self, batch, batch_idx):
        return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        return self.returns(self, batch) if self.returns else None

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


PREDICTED = torch.tensor([0, 1, 2, 2, 0, 2])
TRUTH = torch.tensor([0, 1, 2, 2, 1, 0])


def fit(module, report, loader=None):
    data = loader or DataLoader(TensorDataset(torch.eye(3)[PREDICTED], TRUTH), batch_size=4)
    steering = workbench.Steering(experiment="my/classes", mlflow=False)
    pl.Trainer(
        callbacks=[steering, report], logger=False, accelerator="cpu", max_epochs=2, enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False,
    ).fit(module, data, data)  # fmt: skip
    return workbench.store().runs("my/classes")[0]


@pytest.mark.parametrize(
    "returns",
    [None, lambda m, b: {"logits": m(b[0]), "target": b[1]}, lambda m, b: {"preds": m(b[0]).argmax(1), "y": b[1]}],
    ids=["the module is called", "logits", "predictions"],
)
def test_every_validation_is_recorded_whole(store, returns):
    run = fit(Lit(returns), workbench.ClassReport(["ant", "bee", "cat"], counts=[300, 50, 5]))
    assert len(run["balanced_accuracy"].values) == 2  # a validation an epoch
    assert np.allclose(run.reader.array_at("acc_per_class")[1], [50, 50, 100])
    assert run["acc_few"].values.tolist() == [100, 100]
    assert run.reader.array_at("confusion")[1][0].tolist() == [50, 0, 50]


def test_the_panel_of_ones_own_experiment_names_the_classes(store):
    fit(Lit(), workbench.ClassReport(["ant", "bee", "cat"]))
    card = card_for("my/classes", workbench.store())
    assert {v.id: v.kind for v in card.views}["confusion"] == "matrix"
    assert card.signal("confusion").sides == (("ant", "bee", "cat"),) * 2
    assert "class_groups" not in {v.id for v in card.views}  # no counts, no groups
    assert "class_names" not in {v.id for v in card.views}


def test_a_batch_of_another_form_needs_an_answer(store):
    data = DataLoader(TensorDataset(torch.eye(3)[PREDICTED], TRUTH, TRUTH), batch_size=4)
    with pytest.raises(InvalidValue, match=r"ClassReport finds no predictions: .* pass answer="):
        fit(Lit(), workbench.ClassReport(3), data)
    run = fit(Lit(), workbench.ClassReport(3, answer=lambda module, batch: (module(batch[0]), batch[2])), data)
    assert run["accuracy"].values[-1] == pytest.approx(100 * 4 / 6)
