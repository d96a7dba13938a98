"""What imbalance/bonsai shows: its signals and views."""

from __future__ import annotations

from workbench.cards import Reference, Series, Signal, View

COLOURINGS = ("flipped 0.9", "flipped 0.1", "flipped 0.5")
ROUND_NAMES = ("ERM", "discovery 1", "discovery 2", "discovery 3")
STARTED = "start='rfc'"
SIGNALS = (
    Signal("worst_test_acc", "accuracy in the worst of the three test colourings: the number that counts", "%",
           main=True),
    Signal("best_worst_acc", "the largest of it in this stage so far", "%"),
    Signal("test_acc", "accuracy on the same test pictures where colour contradicts the label in 90 %, 10 % and 50 % "
           "of them", "%", shape="vector", axis="colouring", labels=COLOURINGS),
    Signal("train_acc", "accuracy on both training environments (synthesis: on the rounds' pseudo-labels)", "%"),
    Signal("colour_reliance", "accuracy where colour is flipped in 10 % minus accuracy where it is in 90 %; 80 is a "
           "classifier of colour alone", "points", healthy=(-20, 20)),
    Signal("follows", "how far answers follow colour and shape where these are independent: 100 always, 0 not at all",
           "%", shape="vector", axis="cue", labels=("colour", "shape")),
    Signal("follows_colour", "of it, colour", "%"),
    Signal("follows_shape", "of it, shape", "%"),
    Signal("penalty", "of the OoD method, before its weight", only="an OoD method that has one"),
    Signal("penalty_weight", "its weight", only="an OoD method that has one"),
    Signal("loss", "what is minimised: risk, penalty and l2, divided by the penalty's weight"),
    Signal("risk", "of it, the risk: cross-entropy (the sum over environments; discovery: of the worst group)", "nats"),
    Signal("group_error_mass", "share of the training pictures that the network gets wrong", "%"),
    Signal("majority", "share of the more frequent training label: what a constant answer gets", "%"),
    Signal("ood_step", "steps that the OoD method has had", "steps"),
    Signal("stage", "0 ERM, 1 to 3 discovery rounds, 4 synthesis, 5 the OoD method"),
    Signal("overlap", "share of the training pictures that both of two rounds are right on; the diagonal: each alone",
           "%", shape="matrix", axis="round", labels=ROUND_NAMES, only=STARTED),
    Signal("round_accuracy", "accuracy of each round's own network in the three test colourings", "%", shape="matrix",
           axis="round × colouring", sides=(ROUND_NAMES, COLOURINGS), only=STARTED),
    Signal("agreement", "share of the training pictures on which all rounds give the same answer", "%", only=STARTED),
    Signal("filters", "first-layer weights of the 8 units that matter most; above for colour 0, below for colour 1",
           shape="image"),
)  # fmt: skip

VIEWS = (
    View("worst", "Accuracy in the worst colouring", unit="%", range=(0, 100), group="accuracy", tab="worst",
         series=(Series("worst_test_acc"), Series("best_worst_acc", dash=True)),
         references=(Reference(50, "coin"),), subtitle="dashed: best so far in this stage"),
    View("by_ood_step", "Worst accuracy by steps of the OoD method", kind="scatter", unit="%", range=(0, 100),
         series=("ood_step", "worst_test_acc"), group="accuracy", tab="from its start",
         subtitle="every start side by side, its way behind its dot"),
    View("test_acc", "Accuracy in three colourings", unit="%", range=(0, 100), per_run=True, group="accuracy",
         tab="each", series=("test_acc", Series("worst_test_acc", "worst", color="ink")),
         subtitle="share of pictures whose colour contradicts the label; dark: the worst"),
    View("train_acc", "Training accuracy", unit="%", range=(0, 100), group="accuracy", tab="training",
         series=(Series("train_acc"), Series("majority", dash=True)), subtitle="dashed: a constant answer"),
    View("colour_reliance", "Colour reliance", unit="points", series=("colour_reliance",), group="reliance",
         tab="over steps", references=(Reference(80, "colour alone"), Reference(0, "none"))),
    View("cues", "Colour against shape", kind="scatter", series=("follows_colour", "follows_shape"), group="reliance",
         tab="way", subtitle="each run's way; right below: colour alone, left above: shape alone"),
    View("follows", "What answers follow", kind="bars", unit="%", range=(-100, 100), series=("follows",),
         group="reliance", tab="bars", subtitle="where colour and label are independent"),
    View("penalty", "Penalty", series=("penalty",), scale="log", group="penalty", tab="penalty",
         subtitle="before its weight"),
    View("penalty_weight", "Weight of the penalty", series=("penalty_weight",), scale="log", group="penalty",
         tab="weight"),
    View("loss", "Loss", series=(Series("loss"), Series("risk", dash=True)), scale="log", group="penalty", tab="loss",
         subtitle="as minimised; dashed: risk"),
    View("group_error_mass", "Training pictures that are wrong", unit="%", series=("group_error_mass",),
         group="rounds", tab="wrong"),
    View("overlap", "What two rounds are both right on", kind="matrix", unit="%", range=(0, 100), series=("overlap",),
         per_run=True, group="rounds", tab="overlap", subtitle="of the training pictures; diagonal: each alone"),
    View("round_accuracy", "Each round alone", kind="matrix", unit="%", range=(0, 100), series=("round_accuracy",),
         per_run=True, group="rounds", tab="each alone", subtitle="test accuracy by colouring"),
    View("stage", "Stage", series=("stage",), range=(0, 5), group="rounds", tab="stage",
         subtitle="0 ERM, 1 to 3 discovery, 4 synthesis, 5 OoD"),
    View("filters", "First layer by colour", kind="image", series=("filters",), per_run=True, group="filters",
         subtitle="above for colour 0, below for colour 1; alike: blind to colour"),
)  # fmt: skip
