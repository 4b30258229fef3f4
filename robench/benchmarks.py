"""Published benchmarks by their names: corruptions, perturbations that come as sequences, and the classes of CIFAR."""

from __future__ import annotations

from typing import Literal, get_args

Noise = Literal["gaussian_noise", "shot_noise", "impulse_noise"]
Blur = Literal["defocus_blur", "glass_blur", "motion_blur", "zoom_blur"]
Weather = Literal["snow", "frost", "fog", "brightness"]
Digital = Literal["contrast", "elastic_transform", "pixelate", "jpeg_compression"]
Validation = Literal["speckle_noise", "gaussian_blur", "spatter", "saturate"]
Bar = Literal[
    "blue_noise_sample",
    "brownish_noise",
    "caustic_refraction",
    "checkerboard_cutout",
    "cocentric_sine_waves",
    "inverse_sparkles",
    "perlin_noise",
    "plasma_noise",
    "single_frequency_greyscale",
    "sparkles",
]
SmallBar = Literal[
    "blue_noise_sample",
    "brownish_noise",
    "checkerboard_cutout",
    "inverse_sparkles",
    "pinch_and_twirl",
    "ripple",
    "circular_motion_blur",
    "lines",
    "sparkles",
    "transverse_chromatic_aberration",
]
Corruption = Literal[Noise, Blur, Weather, Digital]
CorruptionName = Literal[Corruption, Validation, Bar, SmallBar]
Flip = Literal[
    "gaussian_noise",
    "shot_noise",
    "motion_blur",
    "zoom_blur",
    "snow",
    "brightness",
    "translate",
    "rotate",
    "tilt",
    "scale",
]
FlipValidation = Literal["speckle_noise", "gaussian_blur", "spatter", "shear"]
SequenceName = Literal[Flip, FlipValidation]

NOISES: tuple[str, ...] = get_args(Noise)
GROUPS: dict[str, tuple[str, ...]] = {
    "noise": NOISES,
    "blur": get_args(Blur),
    "weather": get_args(Weather),
    "digital": get_args(Digital),
}
CORRUPTIONS: tuple[str, ...] = get_args(Corruption)
"""The 15 of ImageNet-C that its means are over (Hendrycks & Dietterich, 2019), in its order."""
CORRUPTION_VALIDATION: tuple[str, ...] = get_args(Validation)
"""Four more, for choosing hyperparameters; never part of a mean of the 15."""
IMAGENET_C_BAR: tuple[str, ...] = get_args(Bar)
"""The ten of ImageNet-C-bar (Mintun, Kirillov & Xie, 2021)."""
CIFAR10_C_BAR: tuple[str, ...] = get_args(SmallBar)
"""The ten of CIFAR-10-C-bar; four of them are ImageNet-C-bar's too."""
PERTURBATIONS: tuple[str, ...] = get_args(Flip)
"""The 10 sequences of ImageNet-P that its means are over."""
PERTURBATION_VALIDATION: tuple[str, ...] = get_args(FlipValidation)
NOISE_SEQUENCES = ("gaussian_noise", "shot_noise", "speckle_noise")
"""Those whose frames are compared with the first, which is clean; of all others each is compared with the one before."""
SEVERITIES = (1, 2, 3, 4, 5)
SMALL_SIDE = 64
"""Images whose shorter side has at most so many pixels are corrupted with CIFAR-10-C's parameters, larger ones with ImageNet-C's."""
CIFAR10_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
# fmt: off
CIFAR100_CLASSES = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
]
# fmt: on
