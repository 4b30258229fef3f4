"""The names of `robench`, each where it is defined. `__init__.py` reads this list; there is no other."""

# ruff: noqa: I001 (grouped by use, not by the alphabet)

# Running: what a researcher calls
from robench.api import evaluate as evaluate
from robench.api import load as load
from robench.api import run as run
from robench.api import suite as suite
from robench.api import Loaded as Loaded
from robench.places import Places as Places
from robench.reporting.result import Result as Result

# Metrics: of the records of one cell, as `Result.records` has them or `evaluate` gives them
from robench.reporting.rates import Rate as Rate
from robench.reporting.metrics import Distances as Distances
from robench.reporting.metrics import clean_accuracy as clean_accuracy
from robench.reporting.metrics import robust_accuracy as robust_accuracy
from robench.reporting.metrics import worst_case as worst_case
from robench.reporting.metrics import attack_success_rate as attack_success_rate
from robench.reporting.metrics import attack_success_rate_all as attack_success_rate_all
from robench.reporting.metrics import success_rate_uint8 as success_rate_uint8
from robench.reporting.metrics import distances as distances
from robench.reporting.metrics import confidence as confidence
from robench.reporting.metrics import passes as passes
from robench.reporting.corruption_metrics import mean_error as mean_error
from robench.reporting.corruption_metrics import mean_corruption_error as mean_corruption_error
from robench.reporting.corruption_metrics import relative_mean_corruption_error as relative_mean_corruption_error
from robench.reporting.sequence_metrics import flip_probability as flip_probability
from robench.reporting.sequence_metrics import top5_distance as top5_distance
from robench.reporting.sequence_metrics import mean_flip_rate as mean_flip_rate
from robench.reporting.sequence_metrics import mean_top5_distance as mean_top5_distance

# Entries: what is registered, how an entry is written, how its options are checked
from robench.entries.registry import ATTACKS as ATTACKS
from robench.entries.registry import DATASETS as DATASETS
from robench.entries.registry import DEFENSES as DEFENSES
from robench.entries.cards import attack as attack
from robench.entries.cards import untold as untold
from robench.entries.cards import dataset as dataset
from robench.entries.cards import defense as defense
from robench.entries.calls import Call as Call
from robench.entries.calls import parse as parse
from robench.entries.cards import Knowledge as Knowledge
from robench.entries.cards import Norm as Norm
from robench.entries.kinds import Above0 as Above0
from robench.entries.kinds import AttackCall as AttackCall
from robench.entries.kinds import Bounds as Bounds
from robench.entries.kinds import Depth as Depth
from robench.entries.kinds import FilePath as FilePath
from robench.entries.kinds import NotNegative as NotNegative
from robench.entries.kinds import Passes as Passes
from robench.entries.kinds import Positive as Positive
from robench.entries.kinds import PositiveShare as PositiveShare
from robench.entries.kinds import Radius as Radius
from robench.entries.kinds import Share as Share
from robench.entries.kinds import Source as Source
from robench.entries.kinds import Width as Width
from robench.entries.kinds import Wrapped as Wrapped
from robench.entries.white_box import white_box_attack as white_box_attack

# For attacks: the counted model, losses and margins, norms and projections, descents, patches, Carlini & Wagner's parts
from robench.attacking.classifier import Classifier as Classifier
from robench.attacking.draws import Draws as Draws
from robench.attacking.stillness import held_still as held_still
from robench.attacking.losses import LOSSES as LOSSES
from robench.attacking.losses import Loss as Loss
from robench.attacking.losses import cross_entropy as cross_entropy
from robench.attacking.losses import squared_error as squared_error
from robench.attacking.losses import dlr as dlr
from robench.attacking.losses import goal_margin as goal_margin
from robench.attacking.losses import picked as picked
from robench.attacking.losses import runners_up as runners_up
from robench.attacking.losses import spread as spread
from robench.attacking.nearest import Nearest as Nearest
from robench.attacking.norms import inside as inside
from robench.attacking.norms import into_ball as into_ball
from robench.attacking.norms import l2 as l2
from robench.attacking.norms import length as length
from robench.attacking.norms import lengths as lengths
from robench.attacking.norms import one_a_row as one_a_row
from robench.attacking.norms import rowwise as rowwise
from robench.attacking.norms import to_hyperplane as to_hyperplane
from robench.attacking.descent import descend as descend
from robench.attacking.descent import linear_distance as linear_distance
from robench.attacking.patches import masks_of as masks_of
from robench.attacking.patches import patch_mask as patch_mask
from robench.benchmarks import CIFAR10_CLASSES as CIFAR10_CLASSES
from robench.benchmarks import CIFAR100_CLASSES as CIFAR100_CLASSES
from robench.benchmarks import CORRUPTIONS as CORRUPTIONS
from robench.benchmarks import CorruptionName as CorruptionName
from robench.benchmarks import PERTURBATIONS as PERTURBATIONS
from robench.benchmarks import SequenceName as SequenceName
from robench.attacking.corruptions import corrupt as corrupt
from robench.attacking.corruptions import sequence as sequence
from robench.attacking.carlini import BoxVariable as BoxVariable
from robench.attacking.carlini import RowAdam as RowAdam
from robench.attacking.carlini import from_box as from_box
from robench.attacking.carlini import to_box as to_box
from robench.attacking.carlini import weight_scale as weight_scale

# For defenses: recipes and objectives, the adversary of a training, attention and features, stand-in slopes
from robench.training.recipe import Task as Task
from robench.training.recipe import Recipe as Recipe
from robench.training.recipe import Schedule as Schedule
from robench.training.recipe import Objective as Objective
from robench.training.recipe import WrappedObjective as WrappedObjective
from robench.training.recipe import Batch as Batch
from robench.training.recipe import Progress as Progress
from robench.training.recipe import Layers as Layers
from robench.training.recipe import classification_loss as classification_loss
from robench.training.recipe import layer_indices as layer_indices
from robench.training.loop import learning_rate as learning_rate
from robench.training.building import recipe_of as recipe_of
from robench.training.recipe import steps_per_epoch as steps_per_epoch
from robench.training.adversary import Adversary as Adversary
from robench.models.attention import Attention as Attention
from robench.models.maps import MAPS as MAPS
from robench.models.maps import AttentionMap as AttentionMap
from robench.models.vit import Normalize as Normalize
from robench.models.attention import Weighing as Weighing
from robench.models.attention import attentions as attentions
from robench.models.attention import remap as remap
from robench.models.attention import attention_scores as attention_scores
from robench.models.attention import softmax_slopes as softmax_slopes
from robench.models.vit import Positions as Positions
from robench.models.vit import Upscale as Upscale
from robench.models.vit import build_vit as build_vit
from robench.models.maps import keep_largest as keep_largest
from robench.models.vit import suitable_patch as suitable_patch
from robench.models.attention import watched as watched
from robench.models.blocks import block_outputs as block_outputs
from robench.models.blocks import blocks_of as blocks_of
from robench.models.blocks import patch_of as patch_of
from robench.models.weights import load_weights as load_weights
from robench.models.standins import straight_through as straight_through
from robench.models.registered import timm_library as timm_library

# For data sets: images with labels, and where they are found
from robench.data.derived import padded as padded
from robench.data.derived import trained_on as trained_on
from robench.data.pictures import picture_pixels as picture_pixels
from robench.data.splits import Among as Among
from robench.data.splits import Split as Split
from robench.data.splits import Splits as Splits
from robench.data.splits import hold_out as hold_out
from robench.data.folders import load_folder as load_folder
from robench.data.published import load_published as load_published
from robench.data.arrays import load_arrays as load_arrays
from robench.data.corrupted import PublishedCorruption as PublishedCorruption
from robench.data.corrupted import Severity as Severity
from robench.data.corrupted import load_cifar_c as load_cifar_c
from robench.data.corrupted import load_imagenet_c as load_imagenet_c
from robench.data.sequences import PublishedPerturbation as PublishedPerturbation
from robench.data.sequences import load_cifar_p as load_cifar_p
from robench.data.sequences import load_imagenet_p as load_imagenet_p
from robench.data.imagenet import load_imagenet as load_imagenet
from robench.data.natural import load_natural as load_natural
from robench.data.natural import load_out_of_distribution as load_out_of_distribution
from robench.data.pictures import Interpolation as Interpolation

# For all: errors that are one clear message, content hashes
from robench.errors import AttackError as AttackError
from robench.errors import DataError as DataError
from robench.errors import ModelError as ModelError
from robench.errors import RobenchError as RobenchError
from robench.errors import StoreError as StoreError
from robench.errors import UsageError as UsageError
from robench.errors import did_you_mean as did_you_mean
from robench.hashing import digest as digest

__version__: str
