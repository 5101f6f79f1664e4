"""The whole recipe: teacher, student, int8 file, figures, card."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from training.cache import pictures
from training.checkpoint import Settings
from training.fit import fit
from training.net import STUDENT, TEACHER, shipped
from training.quantise import CALIBRATION_PICTURES, quantise
from training.report import report

TEACHER_SHARE = 0.4


def train(options: argparse.Namespace, folder: Path) -> None:
    torch.set_num_threads(options.threads)
    begun = time.monotonic()
    data = pictures(folder, options.work)
    print(f"{len(data.train)} pictures to train on, {len(data.validation.tiles)} to judge by")
    resume = not options.fresh
    teacher = None
    student = Settings(STUDENT, options.epochs, strength=0.65, decay=2e-4, pictures=len(data.train))
    if options.teacher_epochs:
        settings = Settings(TEACHER, options.teacher_epochs, pictures=len(data.train))
        teacher = fit(settings, data, options.work / "teacher", resume=resume)
        teacher.to(memory_format=torch.channels_last)
        student = replace(student, teacher_share=TEACHER_SHARE)
    net = shipped(fit(student, data, options.work / "student", teacher=teacher, resume=resume))

    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "expression.tflite"
    choice = np.random.default_rng(student.seed)
    picked = choice.choice(len(data.train), CALIBRATION_PICTURES, replace=False)
    quantise(net, data.train.tiles[picked], path)
    report(path, net, data)
    print(f"\n{(time.monotonic() - begun) / 60:.0f} minutes")
