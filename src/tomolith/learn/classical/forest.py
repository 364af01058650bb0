"""A random forest on local features: the classical rival of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator
from skimage.feature import multiscale_basic_features

from tomolith.config import Settings
from tomolith.core import ClassSchema
from tomolith.errors import InputError, MismatchError
from tomolith.learn.sliding import to_bytes

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

_ROWS_PX = 2**18  # pixels that pass the trees at a time


class ForestSettings(Settings):
    """How large the forest is, and what it looks at.

    Examples
    --------
    >>> ForestSettings(n_trees=20).sigma_max
    8.0
    """

    n_trees: int = Field(100, ge=1, description="Number of trees.")
    max_depth: int = Field(16, ge=1, description="Depth of a tree at most.")
    sigma_min: float = Field(1.0, gt=0, description="Finest scale of the features, in pixels.")
    sigma_max: float = Field(8.0, gt=0, description="Coarsest scale of the features, in pixels.")
    max_pixels: int = Field(200_000, ge=1, description="Labelled pixels learnt from at most.")
    seed: int = Field(0, ge=0, description="For drawing pixels and growing trees.")

    @model_validator(mode="after")
    def _check_scales(self) -> ForestSettings:
        if self.sigma_max < self.sigma_min:
            raise ValueError(
                f"'sigma_max' ({self.sigma_max:g} px) is below 'sigma_min' ({self.sigma_min:g} px)"
            )
        return self


@dataclass(frozen=True)
class Forest:
    """A fitted forest; :func:`fit_forest` makes it.

    It is fitted anew where it is needed, and never stored: a pickle runs whatever code is in it.

    Parameters
    ----------
    schema
        The classes.
    settings
        What it was fitted with.
    model
        The trees; their classes are values of the schema.
    """

    schema: ClassSchema
    settings: ForestSettings
    model: RandomForestClassifier

    def predict(self, image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Return the labels of one image (y, x), of the grey scale it was fitted on.

        Pixels that are not finite become unlabelled. Needs about 150 bytes of memory per pixel for
        the default scales.

        Raises
        ------
        InputError
            The image is not two-dimensional.
        """
        return self.judge(image)[0]

    def judge(self, image: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Return the labels of one image as :meth:`predict` does, and their probabilities.

        Probabilities are bytes (classes, y, x), 255 for 1: the mean over the trees of the share of
        each class in the leaf; 0 where a pixel is unlabelled.
        """
        rows = _features(image, self.settings)
        labels = np.empty(len(rows), np.uint8)
        shares = np.zeros((len(self.schema), len(rows)), np.uint8)
        channels = [self.schema.values.index(int(value)) for value in self.model.classes_]
        for start in range(0, len(rows), _ROWS_PX):
            part = slice(start, start + _ROWS_PX)
            found = self.model.predict_proba(rows[part])
            labels[part] = self.model.classes_[found.argmax(axis=1)]
            shares[channels, part] = to_bytes(found.T)
        bad = ~np.isfinite(image).ravel()
        labels[bad], shares[:, bad] = self.schema.unlabelled, 0
        return labels.reshape(image.shape), shares.reshape(-1, *image.shape)

    def __reduce__(self) -> NoReturn:
        raise InputError(
            "a forest cannot be pickled", mend="fit it anew: the same seed gives the same forest"
        )


def fit_forest(
    images: Sequence[npt.NDArray[Any]],
    labels: Sequence[npt.NDArray[np.uint8]],
    *,
    schema: ClassSchema,
    settings: ForestSettings,
) -> Forest:
    """Fit a forest on the labelled pixels of a few images.

    Features of a pixel are its grey value, the slope and both eigenvalues of the Hessian, after
    Gaussian blurs of widths from ``sigma_min`` to ``sigma_max`` in powers of two. So many pixels
    are drawn of every class, at most, that ``max_pixels`` are not exceeded; rarer classes weigh
    more, so that each class counts the same. Equal input and seed give an equal forest.

    Source: L. Breiman, Machine Learning 45, 5 (2001), as implemented in scikit-learn; features and
    use as in I. Arganda-Carreras et al., Bioinformatics 33, 2424 (2017) (Trainable Weka) and
    S. Berg et al., Nature Methods 16, 1226 (2019) (ilastik).

    Parameters
    ----------
    images
        Training slices (y, x), all on one grey scale; shapes may differ.
    labels
        The class values of each, of the same shape; unlabelled pixels are ignored.
    schema
        The classes.
    settings
        Size of the forest, scales, seed.

    Raises
    ------
    InputError
        There is no labelled pixel, or an image is not two-dimensional.
    MismatchError
        Images and labels differ in number or shape, or a label is in no class.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> truth = np.zeros((32, 32), np.uint8)
    >>> truth[:, 16:] = 1
    >>> forest = fit_forest(
    ...     [truth * 0.5], [truth], schema=PRESETS["li-binary"], settings=ForestSettings(n_trees=5)
    ... )
    >>> bool((forest.predict(truth * 0.5) == truth).all())
    True
    """
    from sklearn.ensemble import RandomForestClassifier  # takes a second: only who fits one waits

    _check(images, labels, schema)
    places = _draw(images, labels, schema, settings)
    rows, targets = [], []
    for image, labelled, chosen in zip(images, labels, places, strict=True):
        if chosen.size:
            rows.append(_features(image, settings)[chosen])
            targets.append(labelled.ravel()[chosen])
    model = RandomForestClassifier(
        settings.n_trees,
        max_depth=settings.max_depth,
        class_weight="balanced",
        random_state=settings.seed,
        n_jobs=-1,
    )
    model.fit(np.concatenate(rows), np.concatenate(targets))
    model.n_jobs = 1  # threads would add up the votes in any order, and break ties by chance
    return Forest(schema, settings, model)


def _features(image: npt.NDArray[Any], settings: ForestSettings) -> npt.NDArray[np.float32]:
    """Return one row of features for each pixel."""
    if image.ndim != 2:
        raise InputError(
            f"an image of shape {image.shape}", expected="one slice, with two axes (y, x)"
        )
    grey = np.asarray(image, np.float32)
    finite = np.isfinite(grey)
    if not finite.all():  # one such pixel would spread through every blur
        grey = np.where(finite, grey, np.median(grey[finite]) if finite.any() else 0)
    found = multiscale_basic_features(
        grey, sigma_min=settings.sigma_min, sigma_max=settings.sigma_max
    )
    return np.asarray(found.reshape(grey.size, -1), np.float32)


def _draw(
    images: Sequence[npt.NDArray[Any]],
    labels: Sequence[npt.NDArray[np.uint8]],
    schema: ClassSchema,
    settings: ForestSettings,
) -> list[npt.NDArray[np.intp]]:
    """Return the flat places of the drawn pixels in each image."""
    rng = np.random.default_rng(settings.seed)
    usable = [
        np.where(np.isfinite(image), labelled, schema.unlabelled).ravel()
        for image, labelled in zip(images, labels, strict=True)
    ]
    values = np.concatenate(usable) if usable else np.empty(0, np.uint8)
    of_classes = [np.flatnonzero(values == value) for value in schema.values]
    of_classes = [places for places in of_classes if places.size]
    if not of_classes:
        raise InputError(
            "the training slices hold no labelled pixel",
            mend="label some of their pixels, or train on other slices",
        )
    n_each = max(1, settings.max_pixels // len(of_classes))
    drawn = [
        rng.choice(places, n_each, replace=False) if places.size > n_each else places
        for places in of_classes
    ]
    ends = np.cumsum([part.size for part in usable])
    chosen = np.sort(np.concatenate(drawn))
    parts = np.split(chosen, np.searchsorted(chosen, ends[:-1]))
    return [part - (end - used.size) for part, end, used in zip(parts, ends, usable, strict=True)]


def _check(
    images: Sequence[npt.NDArray[Any]],
    labels: Sequence[npt.NDArray[np.uint8]],
    schema: ClassSchema,
) -> None:
    if len(images) != len(labels):
        raise MismatchError(f"{len(labels)} labelled slices", expected=f"{len(images)}, one each")
    known = (*schema.values, schema.unlabelled)
    for i, (image, labelled) in enumerate(zip(images, labels, strict=True)):
        if image.shape != labelled.shape:
            raise MismatchError(
                f"the labels have shape {labelled.shape}",
                expected=f"the shape of the image, {image.shape}",
                where=f"training slice {i}",
            )
        odd = np.setdiff1d(np.unique(labelled), known)
        if odd.size:
            raise MismatchError(
                f"the labels hold the value {odd[0]}, which is no class",
                expected=f"one of {schema.values} ({', '.join(schema.names)})",
                where=f"training slice {i}",
            )
