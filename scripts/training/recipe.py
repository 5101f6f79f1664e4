"""The whole recipe: teacher, student, int8 file, figures, card."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from training.cache import pictures
from training.fit import Settings, fit
from training.net import STUDENT, TEACHER, shipped
from training.quantise import CALIBRATION_PICTURES, quantise
from training.report import report


def train(options: argparse.Namespace, folder: Path) -> None:
    torch.set_num_threads(options.threads)
    data = pictures(folder, options.work)
    print(f"{len(data.train)} pictures to train on, {len(data.validation.tiles)} to judge by")
    fer, photos = data.validation.without_duplicates(), data.photos
    resume = not options.fresh
    teacher = None
    student = Settings(STUDENT, options.epochs, pictures=len(data.train))
    if options.teacher_epochs:
        settings = Settings(TEACHER, options.teacher_epochs, pictures=len(data.train))
        teacher = fit(settings, data.train, fer, photos, options.work / "teacher", resume=resume)
        teacher.to(memory_format=torch.channels_last)
        student = replace(student, teacher_share=0.6)
    net = fit(student, data.train, fer, photos, options.work / "student", teacher, resume)
    out = shipped(net)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "expression.tflite"
    picked = np.random.default_rng(student.seed).choice(len(data.train), CALIBRATION_PICTURES, replace=False)
    quantise(shipped(net), data.train.tiles[picked], path)
    report(path, out, data)
