"""What the experiment shows: its signals and its charts."""

from __future__ import annotations

from workbench.cards import Reference, Series, Signal, View

SIGNALS = (
    Signal("probe_average", "mean accuracy over the tasks seen, on a fixed probe of each", "%", main=True),
    Signal("probe_accuracy", "accuracy on a fixed probe of each task, all classes competing; a task not yet begun is "
           "measured too", "%", shape="vector", axis="task"),
    Signal("top1_acc_stream", "test accuracy after a task, mean over the tasks seen (avalanche: Top1_Acc_Stream)", "%"),
    Signal("task_il_acc_stream", "the same with the task told: other tasks' classes don't compete", "%"),
    Signal("top1_acc_exp", "test accuracy on each task after a task (avalanche: Top1_Acc_Exp)", "%", shape="vector",
           axis="task"),
    Signal("accuracy_matrix", "test accuracy R[t, k] on task k after task t, class-incremental", "%", shape="matrix",
           axis="task"),
    Signal("task_il_matrix", "the same, task-incremental", "%", shape="matrix", axis="task"),
    Signal("forgetting", "best accuracy on an old task so far minus that now, mean over old tasks (mammoth, the paper)",
           "points"),
    Signal("stream_forgetting", "accuracy right after learning a task minus that now, mean (avalanche: "
           "StreamForgetting)", "points"),
    Signal("experience_forgetting", "the same for each old task (avalanche: ExperienceForgetting)", "points",
           shape="vector", axis="task"),
    Signal("stream_bwt", "backward transfer, minus stream_forgetting (avalanche: StreamBWT)", "points"),
    Signal("bn_mass", "weight that the running mean gives to each task's images now, mean over layers. What is missing "
           "to 1 the initial values hold, or absent tasks have lost", shape="vector", axis="task"),
    Signal("bn_recency", "distance of each layer's running mean from a task's images, in running standard deviations",
           "deviations", shape="matrix", axis="layer × task"),
    Signal("bn_even", "the same distances if all tasks seen contributed evenly: how far apart tasks lie by themselves",
           "deviations", shape="matrix", axis="layer × task"),
    Signal("bn_recency_by_task", "bn_recency, mean over layers", "deviations", shape="vector", axis="task"),
    Signal("bn_recency_ratio", "mean of the old tasks' distance over the newest task's, over what bn_even gives for "
           "it: 1 where all tasks seen contribute evenly", healthy=(None, 1.5)),
    Signal("bn_eta", "step size of the window now; 1/bn_eta is its length in batches"),
    Signal("bn_eta_fixed", "where AdaB2N's step size ends, 1 - (1-m)^kappa"),
    Signal("bn_gap", "statistics loss before its weight: squared distance of the batch's statistics from the window's, "
           "sum over layers"),
    Signal("exp_psi", "exp(psi_k), the learned prior count of task k, mean over layers; starts at 1", "images",
           shape="vector", axis="task"),
    Signal("buffer_shares", "share of the buffer that each task holds", shape="vector", axis="task"),
    Signal("task", "the task being trained"),
    Signal("loss", "what is minimised"),
    Signal("loss_new", "loss of the new images"),
    Signal("loss_replay", "loss of the replayed images, with its coefficients"),
)  # fmt: skip

VIEWS = (
    View("accuracy", "Accuracy of each task", series=("probe_accuracy",), unit="%", range=(0, 100), group="accuracy",
         tab="tasks", subtitle="fixed probe of each task every 20 steps; watch old tasks just after a border"),
    View("average", "Accuracy of the tasks seen", unit="%",
         series=(Series("probe_average"), Series("top1_acc_stream", dash=True)),
         range=(0, 100), group="accuracy", tab="average", subtitle="probe; dashed: test set after each task"),
    View("bn_mass", "Whose statistics are they?", kind="area", series=("bn_mass",), range=(0, 1), group="mass",
         subtitle="weight of each task in the running mean: the picture of recency bias"),
    View("bn_recency_by_task", "Distance of the statistics from each task", series=("bn_recency_by_task",),
         unit="deviations", group="recency", tab="tasks", subtitle="mean over layers; healthy: the same for all tasks"),
    View("bn_recency_ratio", "Old tasks' distance over the newest's", subtitle="1: as if all tasks contributed evenly",
         series=("bn_recency_ratio",), scale="log",
         references=(Reference(1.5, "recency-biased above"),), group="recency", tab="ratio"),
    View("bn_recency", "Distance by layer and task", kind="matrix", series=("bn_recency",), unit="deviations",
         per_run=True, group="recency", tab="layers", subtitle="rows: layers from the input on; columns: tasks"),
    View("eta", "Step size of the window", series=("bn_eta",), scale="log", group="window", tab="step size",
         references=(Reference("bn_eta_fixed", "fixed point"),), subtitle="starts at m^kappa, ends at 1 - (1-m)^kappa"),
    View("exp_psi", "Learned weight of each task", series=("exp_psi",), unit="images", group="window", tab="exp(psi)",
         references=(Reference(1.0, "start"),), subtitle="prior count added to a task's images; moves slowly"),
    View("bn_gap", "Statistics loss", series=("bn_gap",), scale="log", group="window", tab="gap"),
    View("accuracy_matrix", "Accuracy after each task", kind="matrix", series=("accuracy_matrix",), unit="%",
         range=(0, 100), per_run=True, group="matrix", tab="class-incremental",
         subtitle="row: after task t; column: on task k"),
    View("task_il_matrix", "Accuracy after each task, the task told", kind="matrix", series=("task_il_matrix",),
         unit="%", range=(0, 100), per_run=True, group="matrix", tab="task-incremental"),
    View("forgetting", "Forgetting of each task", kind="bars", series=("experience_forgetting",), unit="points",
         group="forgetting", tab="tasks", subtitle="right after learning it minus now"),
    View("forgetting_mean", "Mean forgetting", series=(Series("forgetting"), Series("stream_forgetting", dash=True)),
         unit="points", group="forgetting", tab="mean",
         subtitle="best so far minus now; dashed: after learning minus now"),
    View("losses", "Parts of the loss", series=(Series("loss_new"), Series("loss_replay", dash=True)), group="losses",
         tab="loss", subtitle="new images; dashed: replayed"),
    View("buffer", "What the buffer holds", kind="area", series=("buffer_shares",), range=(0, 1), group="losses",
         tab="buffer"),
)  # fmt: skip
