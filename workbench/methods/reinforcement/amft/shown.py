"""What the experiment shows: its signals and its charts."""

from __future__ import annotations

from workbench.cards import Reference, Series, Signal, View
from workbench.methods.reinforcement._shared import shown

SIGNALS = (
    Signal("eval_accuracy", "share of right answers on fixed prompts of 3 to 5 operands, held out", main=True),
    Signal("eval_accuracy_ood", "the same for 6 and 7 operands, which neither traces nor rollouts have"),
    Signal("sft_nll", "loss on the teacher's traces that are held out", "nats/token"),
    Signal("nll_rise", "how far it lies above its lowest, as a share of that", healthy=(None, 0.2)),
    Signal("mixing_weight", "mu, the weight of imitation in a step's loss; 1 in the warm-up"),
    Signal("meta_drive", "what the meta-gradient adds to mu after this step, before the bounds"),
    Signal("entropy_drive", "what entropy adds to mu after this step, before the bounds"),
    Signal("meta_gradient", "change of validation reward with mu, through one look-ahead step",
           only="a controller with the meta-gradient, at the steps where it changes mu"),
    Signal("gradient_cosine", "between the gradients of imitation and reinforcement", healthy=(-0.2, None)),
    Signal("rl_norm", "norm of reinforcement's gradient, unweighed"),
    Signal("sft_norm", "norm of imitation's gradient, unweighed"),
    Signal("sft_loss", "of the next token of the teacher's responses", "nats/token"),
    Signal("policy_loss", "what GRPO minimises, mean over the step's updates"),
    Signal("grad_norm", "norm of the mixture's gradient before clipping"),
    *shown.signals("rollout", "the pretrained policy"),
    shown.GROUPS,
)  # fmt: skip

VIEWS = (
    View("mixing_weight", "Weight of imitation", series=("mixing_weight",), range=(0, 1), group="mu", tab="mu",
         subtitle="1: traces alone; 0: reward alone"),
    View("drives", "What moves mu", per_run=True, group="mu", tab="drives",
         series=(Series("meta_drive", "meta-gradient", color="blue"),
                 Series("entropy_drive", "entropy", color="amber")),
         references=(Reference(0.0, ""),), subtitle="added after a step; 0 between two changes"),
    View("meta_gradient", "Meta-gradient", series=("meta_gradient",), group="mu", tab="meta-gradient",
         references=(Reference(0.0, ""),), subtitle="validation reward by mu, through one step"),
    View("accuracy", "Accuracy, 3 to 5 operands", series=("eval_accuracy",), range=(0, 1), group="accuracy",
         tab="trained", subtitle="held-out fixed prompts"),
    View("accuracy_ood", "Accuracy, 6 and 7 operands", series=("eval_accuracy_ood",), range=(0, 1), group="accuracy",
         tab="longer", subtitle="longer sums than are trained on"),
    View("plane", "Trained and longer sums", kind="scatter", series=("eval_accuracy", "eval_accuracy_ood"),
         group="accuracy", tab="plane", subtitle="accuracy on 3 to 5, and on 6 and 7 operands"),
    View("reward", "Right rollouts", series=("reward",), range=(0, 1), group="accuracy", tab="rollouts"),
    View("nll_rise", "Forgetting", series=("nll_rise",), group="forgetting", tab="rise",
         references=(Reference(0.2, "forgetting above"),), subtitle="loss on held-out traces above its lowest"),
    View("sft_nll", "Held-out traces", series=("sft_nll",), unit="nats/token", group="forgetting", tab="loss"),
    View("cosine", "Do the two agree?", series=("gradient_cosine",), group="gradients", tab="cosine",
         references=(Reference(0.0, ""), Reference(-0.2, "conflict below")),
         subtitle="cosine of the gradients of imitation and reinforcement"),
    View("norms", "Gradients", scale="log", group="gradients", tab="norms", per_run=True,
         series=(Series("sft_norm", "imitation", color="green"), Series("rl_norm", "reinforcement", color="blue"),
                 Series("grad_norm", "mixture", color="ink2", dash=True)), subtitle="norms"),
    *shown.ENTROPY,
    shown.answers("rollout"),
    View("sft_loss", "Loss of imitation", series=("sft_loss",), unit="nats/token", group="update", tab="imitation"),
    View("policy_loss", "Loss of reinforcement", series=("policy_loss",), group="update", tab="reinforcement"),
    shown.STARVED,
    shown.CLIP,
    View("length", "Length of rollouts", series=("length",), bands=(("length_p10", "length_p90"),), unit="tokens",
         group="length", tab="length", subtitle="mean, and between a tenth and nine tenths"),
    shown.distance("the pretrained policy", group="length", tab="KL"),
)  # fmt: skip
