"""What the experiment shows: its signals and its charts."""

from __future__ import annotations

from dataclasses import replace

from workbench.cards import Reference, Series, Signal, View
from workbench.methods.reinforcement._shared import shown

CORNERS = ("instruct", "distilled", "pretrained")
SIGNALS = (
    *(replace(signal, main=signal.name == "reward") for signal in shown.signals()),
    Signal("reward_reasoning", "reward over prompts that ask for a sum"),
    Signal("reward_chat", "reward over prompts that ask for a string backwards"),
    Signal("reward_smooth", "reward, mean of the last 5 steps"),
    Signal("dip", "start_reward minus the lowest reward_smooth so far", healthy=(None, 0.1)),
    Signal("lowest_reward", "lowest reward_smooth so far"),
    Signal("start_reward", "reward of the policy at step 0 on the fixed prompts, mixed like the rollouts'"),
    Signal("eval_reward", "reward on fixed prompts, mixed like the rollouts'"),
    Signal("eval_reasoning", "share of right sums on fixed prompts"),
    Signal("eval_chat", "share of right strings on fixed prompts"),
    Signal("eval_length", "mean length on fixed prompts that ask for a sum, <eos> included", "tokens"),
    Signal("length_reasoning", "mean length where a sum is asked for", "tokens"),
    Signal("length_chat", "mean length where a string is asked for", "tokens"),
    Signal("length_left", "lowest mean length of 5 steps so far where a sum is asked for, over start_length",
           healthy=(0.8, None)),
    Signal("start_length", "eval_length of the policy at step 0", "tokens"),
    Signal("passes", "how often a response verifies itself (V), mean where a sum is asked for"),
    Signal("accuracy_pass1", "share of first passes that are right, where a sum is asked for"),
    Signal("grad_norm", "norm of the policy's gradient before clipping"),
    Signal("policy_loss", "what the policy minimises, mean over the step's updates"),
    replace(shown.GROUPS, only="regime H"),
    Signal("value_mse", "squared error of the critic before its update, mean over tokens", only="regime L"),
    Signal("return_var", "variance of the returns over the tokens, the error of a critic that knows their mean",
           only="regime L"),
    Signal("value_by_position", "what the critic expects, by position; 0 where no response is as long",
           shape="vector", axis="position", only="regime L"),
    Signal("merge_weights", "shares of the three models in the policy at step 0; by another rule than linear, its "
           "ratios", shape="vector", axis="model", labels=CORNERS),
    Signal("merge_map", "weights of linear merges of the three models, and the reward of each on the fixed prompts",
           shape="matrix", labels=(*CORNERS, "reward"), only="when the probe is asked for"),
    Signal("merge_a", "share of the distilled model in the first merge", only="a merge"),
    Signal("merge_b", "share of the first merge in the second", only="a merge"),
    Signal("linearity", "distance of distilled from instruct over that from the pretrained model: above 3 a merge of "
           "them is likely garbage", healthy=(None, 3), only="a merge"),
)  # fmt: skip

START = Reference("start_reward", "at step 0")
VIEWS = (
    View("reward", "Reward", series=(Series("reward_smooth"), Series("reward", dash=True)), range=(0, 1),
         references=(START,), group="reward", tab="all",
         subtitle="mean of 5 steps; dashed: each step. A dip and a way back is the hockey stick"),
    View("reward_kinds", "Reward by kind of prompt", range=(0, 1), group="reward", tab="by kind",
         series=(Series("reward_reasoning"), Series("reward_chat", dash=True)), subtitle="sums; dashed: strings"),
    View("dip", "Deepest dip so far", series=("dip",), group="reward", tab="dip",
         references=(Reference(0.1, "a dip above"),), subtitle="reward at step 0 minus the lowest mean of 5 steps"),
    View("eval", "Reward on fixed prompts", range=(0, 1), group="reward", tab="fixed prompts",
         series=(Series("eval_reward"), Series("eval_reasoning", dash=True)), references=(START,),
         subtitle="256 prompts; dashed: sums alone"),
    View("merge_map", "Reward of every merge", kind="ternary", series=("merge_map", "merge_weights"), range=(0, 1),
         group="reward", tab="merges", subtitle="linear merges on fixed prompts before training; ask for the probe"),
    View("length", "Length of responses", series=(Series("length_reasoning"), Series("length_chat", dash=True)),
         unit="tokens", references=(Reference("start_length", "at step 0"),), group="length", tab="by kind",
         subtitle="where a sum is asked for; dashed: a string"),
    View("length_band", "Length of responses", series=("length",), bands=(("length_p10", "length_p90"),),
         unit="tokens", group="length", tab="spread", subtitle="mean, and what lies between a tenth and nine tenths"),
    View("length_hist", "Lengths over time", kind="heatmap", series=("length_hist",), unit="tokens", per_run=True,
         group="length", tab="histogram"),
    View("length_left", "Shortest so far", series=("length_left",), group="length", tab="left",
         references=(Reference(0.6, "collapsed below"),), subtitle="lowest mean of 5 steps over the length at step 0"),
    View("passes", "Verifying itself", series=("passes",), group="length", tab="passes",
         subtitle="V's a response, where a sum is asked for"),
    View("accuracy_pass1", "First passes that are right", series=("accuracy_pass1",), range=(0, 1), group="length",
         tab="first pass"),
    shown.answers(),
    *shown.ENTROPY,
    shown.distance("the reference"),
    shown.estimates(),
    View("advantage", "Advantage, early and late", group="credit", tab="advantage",
         series=(Series("advantage_early"), Series("advantage_late", dash=True)), references=(Reference(0.0, ""),),
         subtitle="first half of a response; dashed: last quarter. Early below late shortens responses"),
    View("value_by_position", "What the critic expects", kind="heatmap", series=("value_by_position",), per_run=True,
         group="credit", tab="critic"),
    View("value_mse", "Error of the critic", series=(Series("value_mse"), Series("return_var", dash=True)),
         group="credit", tab="its error", subtitle="dashed: the variance of what it is to predict"),
    replace(shown.STARVED, group="credit"),
    shown.CLIP,
    shown.RATIO,
    shown.GRADIENT,
)  # fmt: skip
