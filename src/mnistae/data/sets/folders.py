"""Data sets in a folder of images: splits and classes from the names of the folders, in the usual layouts."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mnistae.core.arrays import NO_LABEL
from mnistae.core.text import counted, quoted
from mnistae.data.sets import pictures
from mnistae.data.sets.dataset import SPLIT_WORDS, Arrays, Content, Progress, Split, mentions, no_progress
from mnistae.data.sets.labels import number_classes

Folders = tuple[str, ...]

DIGITS = [{f"{digit:0{width}}" for digit in range(10)} for width in (1, 2, 3)]
"""The names of class folders for digits: '0' to '9', '00' to '09' or '000' to '009'."""

_VALIDATION = "validation"
_SPLIT = re.compile(rf"(?i:\w*mnist[-_ ]?)?{SPLIT_WORDS}(?:(?i:[-_ ]?(?:set|images|imgs|data|split))|[AB])?")
_CONTAINERS = {"images", "image", "imgs", "img", "data"}  # a single folder of this name is not a class


@dataclass(frozen=True)
class _Member:
    """An image. `split` is that of its `folder`, or None outside the split folders; `within` are the folders in that one."""

    path: str
    split: str | None
    folder: str
    within: Folders


def read(path: Path, images: Sequence[str], skipped: str, *, raw: bool = False, progress: Progress = no_progress) -> Content:
    """Return the data set of the images found in the folder `path`, where other files were `skipped`. Raises DataError."""
    members, notes = _choose_test(_members([(name, Path(name).relative_to(path).parts[:-1]) for name in images]))
    used = [member for split in Split for member in _in_order([one for one in members if one.split == split])]
    names, merged = _class_names(used)
    notes += [f"merged {counted(len(merged), 'folder')} of classes: {quoted(merged)}"] if merged else []
    pairs = [(member.split, name) for member, name in zip(used, names, strict=True) if name is not None]
    labels, classes, said = number_classes([{name for place, name in pairs if place == split} for split in Split])
    notes += said
    rows, conversions = pictures.read([member.path for member in used], raw=raw, progress=progress)
    numbers = np.array([NO_LABEL if name is None else labels.get(name, NO_LABEL) for name in names], np.uint8)
    arrays: Arrays = {}
    summary = []
    for split in Split:
        chosen = np.array([member.split == split for member in used])
        if chosen.any():
            arrays |= {f"{split}_images": rows[chosen], f"{split}_labels": numbers[chosen]}
            places = quoted(dict.fromkeys(member.folder for member in used if member.split == split and member.folder))
            count = len({*numbers[chosen].tolist()} - {NO_LABEL})
            unlabelled = int((numbers[chosen] == NO_LABEL).sum())
            text = f"{split}: {counted(int(chosen.sum()), 'image')}" + (f" from {places}" if places else "")
            text += f", {counted(count, 'class')}" if count else ", no labels"
            summary.append(text + (f", {unlabelled:,} without label" if count and unlabelled else ""))
    notes += _oddities(used, names, labels)
    notes += [f"skipped {skipped}"] if skipped else []
    return Content(arrays, classes, ("; ".join(summary), *notes, *conversions))


def _oddities(members: Sequence[_Member], names: Sequence[str | None], labels: Mapping[str, int]) -> Iterator[str]:
    """Yield notes on classes and file names."""
    lowered = Counter(name for name, _ in {(name.lower(), label) for name, label in labels.items()})
    if twins := [f"'{name}'" for name in labels if lowered[name.lower()] > 1]:
        yield f"class folders that differ only in case are different classes: {', '.join(twins)}"
    if not labels and (count := len({*names} - {None})):
        yield f"left out the labels of {counted(count, 'class')}: their numbers would exceed {NO_LABEL - 1}"
    if not any(member.folder for member in members):
        for what, texts in (("file", [Path(member.path).stem for member in members]), ("folder", [*{*names} - {None}])):
            found = {_mention(text) for text in texts if text}
            if len(words := [f"'{split}'" for split in (*Split, _VALIDATION) if split in found]) > 1:
                yield f"{what} names with {', '.join(words[:-1])} and {words[-1]} are not read as splits"


def _members(images: Sequence[tuple[str, Folders]]) -> list[_Member]:
    """Return the images, given their paths and the folders that they are in, by split: train/7/a.png or 7/train/a.png."""
    base = _wrapper([folders for _, folders in images])
    inner = [_below(base, folders) for _, folders in images]
    depth, splits = _split_level(inner)
    if depth is None:
        return [_Member(path, Split.TRAIN, "", own) for (path, _), own in zip(images, inner, strict=True)]
    members = []
    for (path, _), own in zip(images, inner, strict=True):
        split = splits.get(own[depth]) if len(own) > depth else None
        within = own[:depth] + own[depth + 1 :]
        # trainingSet/trainingSet/7/a.png
        if split and within and split in {splits.get(within[0]), *_usual(within[:1]).values()}:
            within = within[1:]
        folder = "/".join((*base, *("*",) * depth, own[depth])) if split else ""
        members.append(_Member(path, split, folder, within))
    inside = _wrapper([member.within for member in members if member.split], in_split=True)  # train/images/7/a.png
    return [replace(member, within=_below(inside, member.within)) for member in members] if inside else members


def _split_level(folders: Sequence[Folders]) -> tuple[int | None, dict[str, str]]:
    """Return at which of the two upper levels folders are splits, and which.

    Names that only mention a split count where folders of classes are in them or around them.
    """
    levels = [{own[k] for own in folders if len(own) > k} for k in (0, 1)]
    for choose in (_usual, _mentioned) if levels[1] else (_usual,):
        for k, names in enumerate(levels):
            if splits := choose(names):
                return k, splits
    return None, {}


def _usual(names: Collection[str]) -> dict[str, str]:
    """Return the folders that have a split's usual name; if none is for training, also those whose names end with 'train'."""
    found = {name: str(match.lastgroup) for name in names if (match := _SPLIT.fullmatch(name))}
    if found and Split.TRAIN not in found.values():
        found |= {name: Split.TRAIN for name in names if re.search("(?i)train(ing)?$", name) and _mention(name) == Split.TRAIN}
    return found


def _mentioned(names: Collection[str]) -> dict[str, str]:
    """Return the splits that the names of folders mention, if all do and not the same."""
    found = {name: split for name in names if (split := _mention(name))}
    return found if len(found) == len(names) and len({*found.values()}) > 1 else {}


def _below(base: Folders, folders: Folders) -> Folders:
    return folders[len(base) :] if folders[: len(base)] == base else ()


def _in_order(members: Sequence[_Member]) -> Sequence[_Member]:
    """Sort images by the numbers in their names if those are distinct, as where MNIST's own indices name them."""
    matches = [re.fullmatch(r"(\D*)(\d{1,9})", Path(member.path).stem, re.ASCII) for member in members]
    numbers = {(match[1], int(match[2])): member for match, member in zip(matches, members, strict=True) if match}
    if len(numbers) < len(members) or len({prefix for prefix, _ in numbers}) != 1:
        return members
    return [numbers[key] for key in sorted(numbers)]


def _mention(name: str) -> str | None:
    """Return the only split that a name mentions, as '01_train' and 'MNIST - testing' do."""
    match = _SPLIT.fullmatch(name)
    found = {match.lastgroup} if match else mentions(name)
    return next(iter(found)) if len(found) == 1 else None


def _wrapper(images: Sequence[Folders], *, in_split: bool = False) -> Folders:
    """Return the folders around the splits or classes, as archives have them; in a split, one folder may be the only class."""
    tops = {own[0] for own in images if own}
    nested = {own[1] for own in images if len(own) > 1}
    top = next(iter(tops), "")
    if len(tops) != 1 or not nested or _SPLIT.fullmatch(top) or top in DIGITS[0]:
        return ()
    are_classes = nested & DIGITS[0] or any(nested <= names and top not in names for names in DIGITS)
    if in_split and top.lower() not in _CONTAINERS and not are_classes:
        return ()
    if any(len(own) == 1 for own in images) and not (_usual(nested) or _mentioned(nested)):
        return ()
    return (top, *_wrapper([own[1:] for own in images], in_split=in_split))


def _choose_test(members: Sequence[_Member]) -> tuple[Sequence[_Member], list[str]]:
    """Make a validation split the test split if there is no other; return the notes on that and on what is left out."""
    has_test = any(member.split == Split.TEST for member in members)
    counts = Counter(member.folder for member in members if member.split == _VALIDATION)
    notes = [f"used '{name}' as the test split" for name in counts]
    if has_test:
        notes = [f"left out {counted(count, 'image')} in '{name}' (there is a test split)" for name, count in counts.items()]
    else:
        members = [replace(member, split=Split.TEST) if member.split == _VALIDATION else member for member in members]
    if outside := [member.path for member in members if member.split is None]:
        notes.append(f"left out {counted(len(outside), 'image')} outside the split folders, such as '{outside[0]}'")
    return members, notes


def _class_names(members: Sequence[_Member]) -> tuple[list[str | None], list[str]]:
    """Return the class of each image: its first folder, or its last one if those are digits and the first are not.

    The folders above the classes are returned as well, if there are several.
    """
    first, last = ({member.within[end] for member in members if member.within} for end in (0, -1))
    if len(first) == 1 and {name.lower() for name in first | last} <= _CONTAINERS:
        return [None] * len(members), []
    is_last = any(last <= names and not first <= names for names in DIGITS) and not first <= DIGITS[0]
    end = -1 if is_last else 0
    above = {"/".join(member.within[:end]) for member in members if end} - {""}
    return [member.within[end] if member.within else None for member in members], sorted(above) if len(above) > 1 else []
