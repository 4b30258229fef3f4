"""Mutations of the code that tests must see: a text that a file holds once, what it becomes, and the tests that should fail.

Each changes a number that a reader would believe. One that may live says why; those are at most one in twenty.
"""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    """A change of a file of the tree.

    Attributes:
        about: what becomes wrong.
        tests: files below tests/, or single tests in them, with spaces between them.
        lives: why no test sees it; empty where one must.
    """

    about: str
    file: str
    before: str
    after: str
    tests: str
    lives: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.about}"


VIT, KSA, RSPC = "robench/models/vit.py", "defenses/ksa.py", "defenses/rspc.py"
JUDGE, SHARDS, METRICS = "robench/running/judge.py", "robench/running/shards.py", "robench/reporting/metrics.py"
ROBUSTNESS, COMMON, TIES = (f"robench/reporting/{name}.py" for name in ("robustness", "common_norms", "ties"))
STATISTICS, TABLES = "robench/reporting/statistics.py", "robench/reporting/tables.py"
TARGETS, DRAWS, NORMS = (f"robench/attacking/{name}.py" for name in ("targets", "draws", "norms"))
DESCENT, LOSSES = "robench/attacking/descent.py", "robench/attacking/losses.py"
EXPECTATION, HASHING = "robench/attacking/expectation.py", "robench/hashing.py"
BALLS, STILL, SOURCES = "robench/attacking/balls.py", "robench/attacking/stillness.py", "robench/entries/sources.py"
CLASSIFIER, ENTRY = "robench/attacking/classifier.py", "robench/entries/entry.py"
MADRY, FAT, TRADES, DISTILL = (f"defenses/{name}.py" for name in ("madry", "fat", "trades", "distill"))

OF_KSA, OF_RSPC = "defenses/test_ksa.py", "defenses/test_rspc_by_hand.py"
OF_ADVERSARIES, OF_TEACHERS = "defenses/test_adversarial.py", "defenses/test_distillation.py"
OF_AUGMENTATION = "defenses/test_augmentation.py"
OF_JUDGE = "running/test_judge_by_hand.py running/test_judge.py"
PREFLIGHT, OF_PREFLIGHT = "robench/running/preflight.py", "running/test_preflight_by_hand.py"
OF_METRICS = "reporting/test_metrics_by_hand.py"
OF_TABLES = "reporting/test_tables_by_hand.py reporting/test_statistics.py"
OF_DRAWS, OF_STEPS = "attacking/test_draws_and_targets.py", "attacks/test_by_hand.py"
EXACT = "attacks/test_closed_form.py"
TENTHS = f"{EXACT}::test_at_nine_tenths_of_the_exact_distance_nothing_is_broken_and_at_eleven_everything"
PERCENT = f"{EXACT}::test_minimal_attacks_are_within_a_few_percent_of_the_exact_distance"
IDENTITY = "records/test_identity.py"
PROMISES, STATE = "attacks/test_promises.py", "running/test_model_state.py"
NESTED, CODE = "entries/test_identity.py", "entries/test_sources.py records/test_changes.py"

# fmt: off
OBJECTIVES = [
    Mutation("the smallest K are kept", VIT, "weights.topk(k, dim=-1,", "weights.topk(k, largest=False, dim=-1,", OF_KSA),
    Mutation("mu does not decay", KSA, "self.mu * self.decay **", "self.mu * 1.0 **", OF_KSA),
    Mutation("mu grows", KSA, "self.mu * self.decay **", "self.mu / self.decay **", OF_KSA),
    Mutation("mu decays beyond the last loop", KSA, "min(progress.step // self.inner, self.outer - 1)", "(progress.step // self.inner)", OF_KSA),
    Mutation("mu decays with every step", KSA, "progress.step // self.inner", "progress.step", OF_KSA),
    Mutation("the linear map is the softmax", VIT, '"linear": linear_map', '"linear": lambda scores: scores.softmax(-1)', OF_KSA),
    Mutation("sparsemax is the softmax", VIT, '"sparsemax": sparsemax_map', '"sparsemax": lambda scores: scores.softmax(-1)', OF_KSA),
    Mutation("the ReLU map is the linear map", VIT, '"relu": relu_map', '"relu": linear_map', OF_KSA),
    Mutation("the linear map shifts by the minimum of all rows", VIT, "scores.amin(-1, keepdim=True)", "scores.amin((-1, -2), keepdim=True)", OF_KSA),
    Mutation("the penalty is a mean over rows", KSA, ".square().sum()", ".square().sum(-1).mean()", OF_KSA),
    Mutation("the norm is not squared", KSA, ".square().sum()", ".norm()", OF_KSA),
    Mutation("the penalty is rewarded", KSA, "task_loss + penalty / (2 * mu)", "task_loss - penalty / (2 * mu)", OF_KSA),
    Mutation("the penalty is left out", KSA, "task_loss + penalty / (2 * mu)", "task_loss", OF_KSA),
    Mutation("1 / mu instead of 1 / 2 mu", KSA, "penalty / (2 * mu)", "penalty / mu", OF_KSA),
    Mutation("gradients go through the target", KSA, "sparse_target(w.detach(),", "sparse_target(w,", OF_KSA),
    Mutation("the target is not divided by its sum", KSA, "kept / total.clamp_min(1e-12)", "kept", OF_KSA),
    Mutation("the penalty is not averaged over the batch", KSA, ".sum() / len(batch.inputs)", ".sum()", OF_KSA),
    Mutation("all layers are pulled", KSA, "[found[layer] for layer in chosen]", "found", OF_KSA),
    Mutation("the projection adds what is missing to each", KSA, "((1 - total) / places.shape[-1])", "(1 - total)", OF_KSA),
    Mutation("the projection adds nothing", KSA, "((1 - total) / places.shape[-1])", "(0 * total)", OF_KSA),
    Mutation("a hard top-K cuts in training too", VIT, "self.hard_k is not None and not self.training", "self.hard_k is not None", OF_KSA),
    Mutation("a hard top-K is not renormalised", VIT, "straight_through(kept / kept.sum(-1, keepdim=True), weights)", "straight_through(kept, weights)", OF_KSA),
    Mutation("scores are not divided by the root of the width", VIT, "(dim // heads) ** -0.5", "1.0", OF_KSA),
    Mutation("a ViT has one head", VIT, "Attention(dim, heads, attention)", "Attention(dim, 1, attention)", OF_KSA),
    Mutation("rspc occludes the highest share", RSPC, "(single > single.quantile(share,", "(single <= single.quantile(1 - share,", OF_RSPC),
    Mutation("rspc occludes with grey", RSPC, "torch.rand_like(inputs)", "torch.full_like(inputs, 0.5)", OF_RSPC),
    Mutation("rspc has the same noise for ever", RSPC, "torch.rand_like(inputs)", "torch.rand(inputs.shape, generator=torch.Generator().manual_seed(0))", OF_RSPC),
    Mutation("rspc's clean features are held fixed (authors)", RSPC, "F.mse_loss(b, a)", "F.mse_loss(b, a.detach())", OF_RSPC),
    Mutation("rspc's clean features are held fixed (paper)", RSPC, "(b - a).flatten(1)", "(b - a.detach()).flatten(1)", OF_RSPC),
    Mutation("rspc ignores lambda", RSPC, "self.weight * distance", "distance", OF_RSPC),
    Mutation("rspc's adversary descends", RSPC, "parameter.grad = -parameter.grad", "parameter.grad = parameter.grad", OF_RSPC),
    Mutation("rspc does not cut the authors' gradients", RSPC, "F.hardtanh(gradient) if ctx.cut else gradient", "gradient", OF_RSPC),
    Mutation("rspc does not average over blocks", RSPC, "(len(self.blocks) + 1e-4)", "(1 + 1e-4)", OF_RSPC),
    Mutation("half_half attacks all", MADRY, "share=0.5, ramp=ramp", "share=1.0, ramp=ramp", OF_ADVERSARIES),
    Mutation("half_half attacks none", MADRY, "found = self.adversary(model, batch.part(slice(natural, None)), progress, **reach)", "found = batch.inputs[natural:]", OF_ADVERSARIES),
    Mutation("madry attacks half", MADRY, "share=1.0, ramp=ramp", "share=0.5, ramp=ramp", OF_ADVERSARIES),
    Mutation("no random start in training", MADRY, '"step_size": step_size or eps / 4}', '"step_size": step_size or eps / 4, "random_start": False}', OF_ADVERSARIES),
    Mutation("madry's ramp is gone", MADRY, "max(1.0, self.ramp * progress.steps)", "1.0", OF_ADVERSARIES),
    Mutation("madry's epoch is not chosen", MADRY, 'selection=Call(f"pgd_{norm}"', 'selection=None and Call(f"pgd_{norm}"', OF_ADVERSARIES),
    Mutation("the adversary sees the model in training mode", "robench/training/adversary.py", "with held_still(model):\n            classifier = Classifier", "if True:\n            classifier = Classifier", OF_ADVERSARIES),
    Mutation("the adversary draws the same in every step", "robench/training/adversary.py", "seed=progress.draws)", "seed=0)", OF_ADVERSARIES),
    Mutation("fat never stops early", FAT, '"until_success": True', '"until_success": False', OF_ADVERSARIES),
    Mutation("fat has a tau of 9", FAT, "slack=self._tau", "slack=9", OF_ADVERSARIES),
    Mutation("fat's tau grows a step late", FAT, "progress.step >= turn", "progress.step > turn", OF_ADVERSARIES),
    Mutation("trades ignores beta", TRADES, "self.beta * divergence", "divergence", OF_ADVERSARIES),
    Mutation("trades has the divergence the other way round", TRADES, "F.kl_div(there, here,", "F.kl_div(here, there,", OF_ADVERSARIES),
    Mutation("trades holds the clean answers fixed", TRADES, "F.log_softmax(logits, 1)).mean()", "F.log_softmax(logits.detach(), 1)).mean()", OF_ADVERSARIES),
    Mutation("trades climbs cross-entropy", TRADES, "                loss=lambda logits, rows: divergences(F.log_softmax(logits, 1), answers[rows]),\n", "", OF_ADVERSARIES),
    Mutation("trades begins at the image itself", TRADES, "NEAR = 0.001", "NEAR = 0.0", OF_ADVERSARIES),
    Mutation("trades takes one step", TRADES, "steps=self.steps,", "steps=1,", OF_ADVERSARIES),
    Mutation("trades takes tiny steps", TRADES, "step_size or eps / 4, beta", "step_size or eps / 40, beta", OF_ADVERSARIES),
    Mutation("trades' beta is 1", TRADES, "beta: NotNegative = 6.0", "beta: NotNegative = 1.0", OF_ADVERSARIES),
    Mutation("fat takes tiny steps", FAT, 'step_size or eps / 4, "until', 'step_size or eps / 40, "until', OF_ADVERSARIES),
    Mutation("trades' epoch is not chosen", TRADES, 'selection=Call("pgd_linf"', 'selection=None and Call("pgd_linf"', OF_ADVERSARIES),
    Mutation("fat's epoch is not chosen", FAT, 'selection=Call("pgd_linf"', 'selection=None and Call("pgd_linf"', OF_ADVERSARIES),
    Mutation("fat's tau grows early", FAT, "[50 / 120, 90 / 120]", "[10 / 120, 20 / 120]", OF_ADVERSARIES),
    Mutation("rspc leaves out GELU", RSPC, "self.mix(F.gelu(scores).flatten(1))", "self.mix(scores.flatten(1))", OF_RSPC),
    Mutation("rspc does not clip its adversary", RSPC, "LARGEST = 5.0", "LARGEST = 5e9", OF_RSPC),
    Mutation("rspc's adversary has no momentum", RSPC, '"momentum": 0.9, "nesterov": True', '"momentum": 0.0, "nesterov": False', OF_RSPC),
    Mutation("rspc's adversary does not decay", RSPC, '"weight_decay": 0.05}', '"weight_decay": 0.0}', OF_RSPC),
    Mutation("distillation without T squared", DISTILL, " * temperature**2", "", OF_TEACHERS),
    Mutation("teacher and student are exchanged (soft)", DISTILL, "for logits in (student, teacher)", "for logits in (teacher, student)", OF_TEACHERS),
    Mutation("teacher and student are exchanged (hard)", DISTILL, "F.cross_entropy(student, teacher.argmax(1))", "F.cross_entropy(teacher, student.argmax(1))", OF_TEACHERS),
    Mutation("the student teaches itself", DISTILL, "answers = self.teacher(batch.inputs)", "answers = model(batch.inputs)", OF_TEACHERS),
    Mutation("alpha is the weight of the labels", DISTILL, "(1 - self.alpha) * loss + self.alpha *", "self.alpha * loss + (1 - self.alpha) *", OF_TEACHERS),
    Mutation("tempered is not", DISTILL, "model(batch.inputs) / self.temperature", "model(batch.inputs)", OF_TEACHERS),
    Mutation("augmix ignores the weight", "defenses/augmix.py", "self.weight * jensen_shannon", "jensen_shannon", "defenses/test_defenses.py::test_losses_are_weighed_as_they_say"),
    Mutation("augmix's divergence is from the first", "defenses/augmix.py", "torch.stack(answers).mean(0)", "answers[0]", OF_AUGMENTATION),
    Mutation("augmix ignores alpha", "defenses/augmix.py", "mixture_width=width, alpha=alpha", "mixture_width=width, alpha=1.0", OF_AUGMENTATION),
    Mutation("augmix ignores severity", "defenses/augmix.py", "severity=severity", "severity=3", OF_AUGMENTATION),
    Mutation("augmix ignores its width", "defenses/augmix.py", "mixture_width=width", "mixture_width=3", OF_AUGMENTATION),
    Mutation("augmented mixes every batch alike", "defenses/augmented.py", "progress.draws + int(batch.ids[0])", "0", OF_AUGMENTATION),
    Mutation("augmented mixes the parts of a batch alike", "defenses/augmented.py", "progress.draws + int(batch.ids[0])", "progress.draws", OF_AUGMENTATION),
    Mutation("augmented does not smooth labels", "defenses/augmented.py", "label_smoothing=smoothing", "label_smoothing=0.0", OF_AUGMENTATION),
    Mutation("augmented does not mix labels", "defenses/augmented.py", "batch._replace(inputs=inputs, soft=soft)", "batch._replace(inputs=inputs)", OF_AUGMENTATION),
]

LOOP, BATCHES, SNAPSHOTS = (f"robench/training/{name}.py" for name in ("loop", "batches", "snapshots"))
RECIPE = "robench/training/recipe.py"
ADVERSARY, OF_TRAINING = "robench/training/adversary.py", "training/test_training_by_hand.py"
TRAINED = [
    Mutation("the moving average is not what is kept", LOOP, "now.best.weights or now.kept.state_dict()", "now.best.weights or model.state_dict()", OF_TRAINING),
    Mutation("the epoch is not chosen by the moving average", LOOP, "robust_accuracy(now.kept,", "robust_accuracy(model,", OF_TRAINING),
    Mutation("the moving average is not what is chosen", LOOP, "device), now.kept, now.epoch + 1)", "device), model, now.epoch + 1)", OF_TRAINING),
    Mutation("the log has not the moving average's accuracy", LOOP, "accuracy(now.kept, validation, device)", "accuracy(model, validation, device)", OF_TRAINING),
    Mutation("the best epoch is not kept", LOOP, "now.best.weights or now.kept.state_dict()", "now.kept.state_dict()", OF_TRAINING),
    Mutation("gradients are not clipped", LOOP, "nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)", "pass", OF_TRAINING),
    Mutation("biases and norms decay", LOOP, "p.ndim > 1 and not", "not", OF_TRAINING),
    Mutation("embeddings of class and position decay", LOOP, '("pos_embed", "cls_token")', '("nothing",)', OF_TRAINING),
    Mutation("SGD has no momentum", LOOP, "momentum=0.9, nesterov=True", "momentum=0.0", OF_TRAINING),
    Mutation("every epoch has the same order", LOOP, "default_rng([seed, now.epoch])", "default_rng([seed, 0])", OF_TRAINING),
    Mutation("every seed has the same order", LOOP, "default_rng([seed, now.epoch])", "default_rng([0, now.epoch])", OF_TRAINING),
    Mutation("every epoch is cropped alike", LOOP, "draws = torch.Generator().manual_seed(seed * 1_000_003 + now.epoch)", "draws = torch.Generator().manual_seed(seed * 1_000_003)", OF_TRAINING),
    Mutation("nothing is mirrored", BATCHES, "generator=draws) < 0.5)", "generator=draws) < 0.0)", OF_TRAINING),
    Mutation("crops leave out the last offset", BATCHES, "torch.randint(0, 2 * pad + 1,", "torch.randint(0, 2 * pad,", OF_TRAINING),
    Mutation("the latest of equal epochs is kept", SNAPSHOTS, "score > self.score", "score >= self.score", OF_TRAINING),
    Mutation("the best epoch's weights go on changing", SNAPSHOTS, "tensor.detach().clone() for name", "tensor.detach() for name", OF_TRAINING),
    Mutation("early averages are as long as late ones", SNAPSHOTS, "min(self.decay, (1 + steps) / (10 + steps))", "self.decay", OF_TRAINING),
    Mutation("the average takes in too little", SNAPSHOTS, "own.lerp_(new, 1 - decay)", "own.lerp_(new, decay)", OF_TRAINING),
    Mutation("the rate begins at zero", LOOP, "schedule.lr * (step + 1) / warm", "schedule.lr * step / warm", OF_TRAINING),
    Mutation("the rate does not warm up", LOOP, "warm = max(1, round(schedule.warmup * schedule.steps))", "warm = 1", OF_TRAINING),
    Mutation("the cosine ends at a tenth", LOOP, "0.5 * (1 + math.cos(math.pi * share))", "(0.1 + 0.45 * (1 + math.cos(math.pi * share)))", OF_TRAINING),
    Mutation("a partial batch is a step", RECIPE, "max(1, train_size // batch_size)", "max(1, -(-train_size // batch_size))", OF_TRAINING),
    Mutation("few images have large batches", RECIPE, "min(batch_size, max(32, task.train_size // 40))", "batch_size", OF_TRAINING),
    Mutation("soft labels are not learnt", RECIPE, "batch.labels if batch.soft is None else batch.soft", "batch.labels", OF_TRAINING),
    Mutation("a part of a batch loses its soft labels", RECIPE, "None if self.soft is None else self.soft[rows]", "None", OF_TRAINING),
    Mutation("a step's random numbers are those of every seed", RECIPE, "return self.seed * 1_000_003 + self.step", "return self.step", OF_TRAINING),
    Mutation("a step's random numbers are those of every step", RECIPE, "return self.seed * 1_000_003 + self.step", "return self.seed * 1_000_003", OF_TRAINING),
    Mutation("accuracy is that in training mode", LOOP, "split.targets(), 0\n    model.eval()\n", "split.targets(), 0\n", OF_TRAINING),
    Mutation("the attack that chooses an epoch goes on after it has won", ADVERSARY, 'stops = {"until_success": True}', 'stops = {"until_success": False}', OF_TRAINING),
    Mutation("robust accuracy is clean accuracy", ADVERSARY, "(model(found).argmax(1)", "(model(batch.inputs).argmax(1)", OF_TRAINING),
    Mutation("robust accuracy is of a part of the images", ADVERSARY, "return right / len(chosen)", "return right / min(128, len(chosen))", OF_TRAINING),
]

JUDGED = [
    Mutation("confinement to patches is ignored", JUDGE, "if allowed is not None:", "if False:", OF_JUDGE),
    Mutation("confinement is not handed on", SHARDS, "if not condition.card.confined:", "if True:", OF_JUDGE),
    Mutation("the tolerance is 5e-3", BALLS, "TOLERANCE_LINF = 1e-6", "TOLERANCE_LINF = 5e-3", OF_JUDGE),
    Mutation("the relative tolerance is 5e-3", BALLS, "TOLERANCE_RELATIVE = 1e-5", "TOLERANCE_RELATIVE = 5e-3", OF_JUDGE),
    Mutation("8 bits are floored", JUDGE, "(adversarial * 255).round()", "(adversarial * 255).floor()", OF_JUDGE),
    Mutation("confidence is of the other classes", JUDGE, "confidence=logits.softmax(1).gather", "confidence=(1 - logits.softmax(1)).gather", OF_JUDGE),
    Mutation("success after rounding is that before", JUDGE, "_reached(rounded, labels, targets)", "_reached(logits, labels, targets)", OF_JUDGE),
    Mutation("the box is not looked at", JUDGE, "(flat < 0).any(1) | (flat > 1).any(1)", "(flat > 9).any(1)", OF_JUDGE),
    Mutation("an aim is reached where the label is left", JUDGE, "(away if targets is None else goal_margin(logits, labels, targets))", "away", OF_JUDGE),
    Mutation("fooled is the attack's success", JUDGE, "fooled=(away >", "fooled=(hit >", OF_JUDGE),
    Mutation("a clean error has reached every aim", JUDGE, "True if asked.targets is None else predictions == asked.targets", "True", OF_JUDGE),
    Mutation("the norms are of the wrong difference", JUDGE, "hit > needed, lengths(adversarial.double() - inputs.double())", "hit > needed, lengths(adversarial.double())", OF_JUDGE),
    Mutation("misclassified images are attacked", SHARDS, "correct = clean.argmax(1) == labels", "correct = labels == labels", OF_JUDGE),
    Mutation("passes are swapped with none", SHARDS, "passes = (model.forwards, model.backwards, seconds)", "passes = (model.forwards, 0 * model.backwards, seconds)", OF_JUDGE),
    Mutation("the judge of a random model is the attack's model", "robench/running/subject.py", "self.module.judging() if", "self.module if", OF_DRAWS),
    Mutation("the judge of a random model sees the attack's draws", EXPECTATION, 'JUDGE_DRAWS, "judge")', 'JUDGE_DRAWS, "attack")', OF_DRAWS),
    Mutation("the judge of a random model draws as the attack", EXPECTATION, "JUDGE_DRAWS = 64", "JUDGE_DRAWS = 16", OF_DRAWS),
    Mutation("a random model answers with one draw", EXPECTATION, "total.mean(0)", "total[0]", OF_DRAWS),
    Mutation("the margin recorded is that of leaving the label", JUDGE, "margin=hit.cpu()", "margin=away.cpu()", OF_JUDGE),
    Mutation("success in the spread of adversarial logits", JUDGE, "needed = SUCCESS_SHARE * spread(clean)", "needed = SUCCESS_SHARE * spread(logits)", OF_JUDGE),
    Mutation("each row has the seconds of its shard", JUDGE, "seconds / max(1, count)", "seconds", OF_JUDGE),
    Mutation("a few values that are not finite are let through", JUDGE, "~torch.isfinite(flat).all(1)", "torch.isnan(flat).all(1)", OF_JUDGE),
    Mutation("the class in 8 bits is that before", JUDGE, "prediction_uint8=rounded.argmax(1)", "prediction_uint8=logits.argmax(1)", OF_JUDGE),
    Mutation("patches may change a little around", JUDGE, "(adversarial.to(inputs) != inputs)", "((adversarial.to(inputs) - inputs).abs() > 0.01)", OF_JUDGE),
    Mutation("clean errors are far away", JUDGE, '{"l0": 0.0, "l1": 0.0', '{"l0": 1.0, "l1": 1.0', OF_JUDGE),
    Mutation("clean errors are sure of the label", JUDGE, "gather(1, asked.labels[:, None])", "gather(1, predictions[:, None])", OF_JUDGE),
    Mutation("a model may answer otherwise by a tenth", PREFLIGHT, "NOISE = 1e-3", "NOISE = 1e-1", OF_PREFLIGHT),
    Mutation("a model may not round", PREFLIGHT, "NOISE = 1e-3", "NOISE = 1e-7", OF_PREFLIGHT),
    Mutation("a model may answer otherwise each time", PREFLIGHT, "if not random and _differ(first, second)", "if False", OF_PREFLIGHT),
    Mutation("a model may answer otherwise alone", PREFLIGHT, "if not random and _differ(first[:1], alone)", "if False", OF_PREFLIGHT),
    Mutation("a declared random model is refused", PREFLIGHT, "random = isinstance(module, Expectation)", "random = False", OF_PREFLIGHT),
    Mutation("what sums to about one is taken for probabilities", PREFLIGHT, "< 1e-4).all()", "< 1e-1).all()", OF_PREFLIGHT),
    Mutation("rounded probabilities are not seen", PREFLIGHT, "< 1e-4).all()", "< 1e-8).all()", OF_PREFLIGHT),
    Mutation("negative numbers are taken for probabilities", PREFLIGHT, "bool((logits >= 0).all()) and ", "", OF_PREFLIGHT),
    Mutation("a model must have slopes everywhere", PREFLIGHT, "if not gradient.any()", "if not gradient.all()", OF_PREFLIGHT),
    Mutation("slopes are not looked at", PREFLIGHT, "if not gradient.any()", "if False", OF_PREFLIGHT),
    Mutation("a single image is looked at", PREFLIGHT, "IMAGES = 4", "IMAGES = 1", OF_PREFLIGHT),
    Mutation("backward passes of a random model count once", CLASSIFIER, "lambda _: self._count_backward(places, ones)", "lambda _: self._count_backward(places, torch.ones_like(ones))", OF_DRAWS),
    Mutation("forward passes count for every image", CLASSIFIER, "self.forwards.index_add_(0, places, ones)", "self.forwards += self._cost", OF_DRAWS),
    Mutation("an attack on a random model stops at a success", DESCENT, "until_success and not model.random", "until_success", OF_DRAWS),
    Mutation("attention's stability is at 90 % occlusion", "robench/running/diagnostics.py", "OCCLUDED = 0.1", "OCCLUDED = 0.9", "running/test_diagnostics.py"),
    Mutation("the mass of attention is not of the largest", "robench/running/diagnostics.py", "w.sort(-1, descending=True)", "w.sort(-1)", "running/test_diagnostics.py"),
]

REPORTED = [
    Mutation("the worst case leaves out its own radius", "robench/reporting/evidence.py", "threat.eps <= eps * (1 + 1e-9)", "threat.eps < eps * (1 - 1e-9)", OF_TABLES),
    Mutation("the worst case holds every radius", "robench/reporting/evidence.py", "threat.eps <= eps * (1 + 1e-9)", "True", OF_TABLES),
    Mutation("the best of a column is its worst", TIES, "best = max(merits, key", "best = min(merits, key", OF_TABLES),
    Mutation("nothing is tied", TIES, "ends.low <= 0 <= ends.high", "False", OF_TABLES),
    Mutation("all is tied", TIES, "ends.low <= 0 <= ends.high", "True", OF_TABLES),
    Mutation("of common norms the smaller is marked (first)", COMMON, "(tied or means[0] > means[1])", "(tied or means[0] < means[1])", OF_TABLES),
    Mutation("of common norms the smaller is marked (second)", COMMON, "(tied or means[1] > means[0])", "(tied or means[1] < means[0])", OF_TABLES),
    Mutation("common norms are of what one row broke", COMMON, 'add_suffix("_2"), how="inner")', 'add_suffix("_2"), how="left")', OF_TABLES),
    Mutation("common norms hold failures", COMMON, 'records["correct"].astype(bool) & records["success"].astype(bool)', 'records["correct"].astype(bool)', OF_TABLES),
    Mutation("every norm is L2", ROBUSTNESS, "partial(_norm, column, norm)", 'partial(_norm, column, "l2")', OF_TABLES),
    Mutation("small perturbations are good", ROBUSTNESS, "Column(group, NORM_NAMES[norm], True,", "Column(group, NORM_NAMES[norm], False,", OF_TABLES),
    Mutation("the ends of an interval are swapped in the CSV", TABLES, "(cell.value, *ends)", "(cell.value, *ends[::-1])", OF_TABLES),
    Mutation("shares are not in percent", TABLES, "100 if self.percent", "1 if self.percent", OF_TABLES),
    Mutation("success rates hold clean errors", METRICS, '    attacked = records[records["correct"]]\n    return _rate(attacked["success"]', '    attacked = records\n    return _rate(attacked["success"]', OF_TABLES),
    Mutation("means of sizes hold failures", METRICS, "hit, every = size[success],", "hit, every = size,", OF_TABLES),
    Mutation("medians over all take failures for successes", METRICS, "np.where(success, size, np.inf)", "size", OF_TABLES),
    Mutation("a radius is ignored", METRICS, "if eps is not None:\n        near", "if False:\n        near", OF_TABLES),
    Mutation("the worst case takes images that one attack missed", METRICS, 'axis=1, join="inner").any(axis=1)', "axis=1).fillna(False).any(axis=1)", OF_TABLES),
    Mutation("the worst case is of the weakest", METRICS, 'join="inner").any(axis=1)', 'join="inner").all(axis=1)', OF_TABLES),
    Mutation("confidence holds clean errors", METRICS, 'records.loc[records["correct"].astype(bool), "confidence"]', 'records["confidence"]', OF_TABLES),
    Mutation("rows of one image count as images", METRICS, "len(np.unique(images)) < total", "False", OF_TABLES),
    Mutation("Wilson's interval is one of 90 %", STATISTICS, "proportion_ci(0.95", "proportion_ci(0.90", OF_TABLES),
    Mutation("Wilson's interval is of one image more", STATISTICS, "binomtest(successes, trials)", "binomtest(successes, trials + 1)", OF_TABLES),
    Mutation("clustered intervals are halves", STATISTICS, "np.quantile(means, [0.025, 0.975])", "np.quantile(means, [0.25, 0.75])", OF_TABLES),
    Mutation("the bootstrap is not paired", STATISTICS, "second[0][picks].sum(1) / second[1][picks].sum(1)", "second[0][picks[::-1]].sum(1) / second[1][picks[::-1]].sum(1)", OF_TABLES),
    Mutation("a ratio's denominators are ones", STATISTICS, "first[0][picks].sum(1) / first[1][picks].sum(1)", "first[0][picks].mean(1)", OF_TABLES),
    Mutation("clusters are rows", STATISTICS, "_, image = np.unique(images, return_inverse=True)", "image = np.arange(len(images))", OF_TABLES),
    Mutation("every image weighs the same in a clustered interval", STATISTICS, "sums[picks].sum(1) / counts[picks].sum(1)", "(sums / counts)[picks].mean(1)", OF_METRICS),
    Mutation("paired intervals are halves", STATISTICS, "low, high = np.quantile(difference, [0.025, 0.975])", "low, high = np.quantile(difference, [0.25, 0.75])", OF_TABLES),
    Mutation("the second ratio is left out", STATISTICS, " - second[0][picks].sum(1) / second[1][picks].sum(1)", "", OF_TABLES),
    Mutation("of no images there is an interval", STATISTICS, "if trials == 0:", "if trials < 0:", OF_METRICS),
    Mutation("rates over targets hold clean errors", METRICS, '    attacked = records[records["correct"]]\n    by_image', "    attacked = records\n    by_image", OF_METRICS),
    Mutation("the easiest target is the hardest", METRICS, "float(by_image.max().mean()), float(by_image.min().mean())", "float(by_image.min().mean()), float(by_image.max().mean())", OF_METRICS),
    Mutation("the median is the upper one", METRICS, "(len(sizes) - 1) // 2", "len(sizes) // 2", OF_METRICS),
    Mutation("clean accuracy counts an image for each target", METRICS, 'records.drop_duplicates("image")', "records", OF_METRICS),
    Mutation("an image is fooled if its first row is", METRICS, 'near.groupby(records["image"].astype(str)).any()', 'near.groupby(records["image"].astype(str)).first()', OF_METRICS),
    Mutation("an image is fooled if all of its rows are", METRICS, 'near.groupby(records["image"].astype(str)).any()', 'near.groupby(records["image"].astype(str)).all()', OF_METRICS),
    Mutation("success in 8 bits holds clean errors", METRICS, '    attacked = records[records["correct"]]\n    return _rate(attacked["success_uint8"]', '    attacked = records\n    return _rate(attacked["success_uint8"]', OF_TABLES),
    Mutation("means over all leave out failures", METRICS, "float(every.mean()) if len(every)", "float(hit.mean()) if len(every)", OF_TABLES),
    Mutation("passes hold clean errors", METRICS, '    attacked = records[records["correct"]]\n    forwards', "    attacked = records\n    forwards", OF_TABLES),
    Mutation("a curve is of every radius", METRICS, "if own is None or own <= eps * (1 + 1e-9)", "", OF_TABLES),
    Mutation("seeds spread by the population's deviation", "robench/reporting/seeds.py", "spread=statistics.stdev(values)", "spread=statistics.pstdev(values)", OF_TABLES),
]

NAMED = [
    Mutation("the seed is not in a unit's name", "robench/records/manifest.py", "return digest(asdict(self))", 'return digest({**asdict(self), "seed": 0})', IDENTITY),
    Mutation("the seed is not in a unit's identity", "robench/running/rows.py", "            seed=seed,\n            precision", "            seed=0,\n            precision", IDENTITY),
    Mutation("the weights are not in a model's name", "robench/records/manifest.py", "digest([defense, weights, logits, data, subset])", "digest([defense, logits, data, subset])", "reporting/test_groups.py"),
    Mutation("the precision is not in a threat's name", "robench/records/manifest.py", "digest([self.attack, self.precision, self.engine])", "digest([self.attack, self.engine])", "reporting/test_groups.py"),
    Mutation("the order of keys changes a digest", HASHING, "sort_keys=True", "sort_keys=False", IDENTITY),
    Mutation("a shape is not in an image's id", HASHING, "digest_size=8, key=shape)", "digest_size=8)", IDENTITY),
    Mutation("a repeated image has the id of the first", HASHING, "pixels.hex() if not again else", "pixels.hex() if True else", IDENTITY),
    Mutation("labels are not in a fingerprint", "robench/data/splits.py", 'f"{i}:{label}" for i, label', 'f"{i}" for i, label', IDENTITY),
    Mutation("a docstring changes the digest of code", SOURCES, "node.body = node.body[1:]", "node.body = node.body[0:]", IDENTITY),
    Mutation("a default changes the digest of code", SOURCES, "node.args.kw_defaults = [None] * len(node.args.kwonlyargs)", "pass", IDENTITY),
    Mutation("the least likely class is the likeliest", TARGETS, "torch.inf).argmin(1", "-torch.inf).argmax(1", OF_DRAWS),
    Mutation("the next class is the one after", TARGETS, "(labels[:, None] + 1)", "(labels[:, None] + 2)", OF_DRAWS),
    Mutation("a random target may be the label", TARGETS, "* (classes - 1)).long() + 1", "* classes).long()", OF_DRAWS),
    Mutation("draws forget the seed", DRAWS, "{self._seed}/{purpose}/{step}", "{purpose}/{step}", OF_DRAWS),
    Mutation("draws forget the step", DRAWS, "{self._seed}/{purpose}/{step}", "{self._seed}/{purpose}", OF_DRAWS),
    Mutation("draws forget the purpose", DRAWS, "{self._seed}/{purpose}/{step}", "{self._seed}/{step}", OF_DRAWS),
    Mutation("draws forget the element", DRAWS, "np.arange(1, count + 1, dtype=np.uint64)", "np.ones(count, dtype=np.uint64)", OF_DRAWS),
    Mutation("draws forget the image", DRAWS, "_mix(ids ^ _key(", "_mix(0 * ids ^ _key(", OF_DRAWS),
    Mutation("normal draws are too narrow", DRAWS, "(-2 * torch.log1p(-radius))", "(-1 * torch.log1p(-radius))", OF_DRAWS),
]

PGD, MIM, PATCH = "attacks/pgd.py", "attacks/mim.py", "attacks/patch.py"
ATTACKED = [
    Mutation("PGD goes down", DESCENT, "probe.detach() + change", "probe.detach() - change", OF_STEPS),
    Mutation("PGD leaves the box", DESCENT, "moved = (inputs[rows] + delta).clamp(0, 1)", "moved = inputs[rows] + delta", OF_STEPS),
    Mutation("PGD's random start goes upwards only", PGD, '(2 * model.draws.uniform("start", restart, rows, inputs.shape[1:]) - 1)', 'model.draws.uniform("start", restart, rows, inputs.shape[1:])', OF_STEPS),
    Mutation("there is one restart", DESCENT, "range(restarts if start else 1)", "range(1)", OF_STEPS),
    Mutation("restarts begin at the same point", DESCENT, "into_ball(start(restart, rows)", "into_ball(start(0, rows)", OF_STEPS),
    Mutation("restarts lose what was found", DESCENT, "left = left[~fooled]", "left = left", OF_STEPS),
    Mutation("PGD goes on after a success", DESCENT, "going = ~fooled | (patience[rows] > 0)", "going = fooled | ~fooled", OF_ADVERSARIES),
    Mutation("PGD in L2 does not normalise", PGD, "size * gradient / rowwise(l2(gradient).clamp_min(1e-12), gradient)", "size * gradient", OF_STEPS),
    Mutation("PGD in L1 pushes into the box", PGD, "(gradient * free)", "gradient", OF_STEPS),
    Mutation("PGD in L1 has starts of one sign", PGD, "(1 - 2 * signs.double())", "signs.double().abs().clamp_min(1)", OF_STEPS),
    Mutation("MIM has no momentum", MIM, "decay * momentum[rows] + ", "", OF_STEPS),
    Mutation("MIM does not normalise", MIM, "gradient / rowwise(mean, gradient)", "gradient", OF_STEPS),
    Mutation("FGSM leaves its ball from a random start", "attacks/fgsm.py", "(moved - inputs).clamp(-eps, eps)", "(moved - inputs)", OF_STEPS),
    Mutation("a targeted loss goes the wrong way", LOSSES, "return -F.cross_entropy(logits, targets,", "return F.cross_entropy(logits, targets,", OF_STEPS),
    Mutation("the ratio divides by another difference", LOSSES, "(ordered[:, 0] - ordered[:, 2] + 1e-12)", "(ordered[:, 0] - ordered[:, 1] + 1e-12)", OF_STEPS),
    Mutation("the targeted ratio divides by another difference", LOSSES, "(ordered[:, 2] + ordered[:, 3]) / 2", "ordered[:, 2]", OF_STEPS),
    Mutation("the projection onto L2 stretches", NORMS, "radius / length.clamp_min(radius)", "radius / length", OF_STEPS),
    Mutation("the projection onto L1 stretches", NORMS, "excess.gather(1, support - 1).relu()", "excess.gather(1, support - 1)", OF_STEPS),
    Mutation("L2 is not a root", NORMS, '"l2": flat.square().sum(1).sqrt()', '"l2": flat.square().sum(1)', OF_JUDGE),
    Mutation("L0 counts any change", NORMS, "(flat > 1 / 510)", "(flat > 0)", OF_JUDGE),
    Mutation("L1 is a mean", NORMS, '"l1": flat.sum(1)', '"l1": flat.mean(1)', OF_JUDGE),
    Mutation("patch_noise is black", PATCH, 'model.draws.uniform("noise", 0, None, inputs.shape[1:]).to(inputs)', "torch.zeros_like(inputs)", OF_STEPS),
    Mutation("patch_corruption ignores its name", PATCH, "CORRUPTIONS[name](", 'CORRUPTIONS["gaussian_noise"](', OF_STEPS),
    Mutation("patch_corruption ignores its severity", PATCH, "(inputs, severity, model.draws)", "(inputs, 3, model.draws)", OF_STEPS),
    Mutation("patch_pgd starts outside its patches", PATCH, "return eps * noise.to(inputs) * mask[rows]", "return eps * noise.to(inputs)", OF_STEPS),
    Mutation("patch_pgd steps outside its patches", PATCH, "size * gradient.sign() * mask[rows]", "size * gradient.sign()", OF_STEPS),
    Mutation("transfer takes one step", "attacks/transfer.py", 'Call("mim", {"until_success": False})', 'Call("fgsm")', OF_STEPS),
    Mutation("transfer stops at the source's boundary", "attacks/transfer.py", 'Call("mim", {"until_success": False})', 'Call("mim")', OF_STEPS),
    Mutation("APGD climbs the other way", "attacks/apgd.py", "return gradient.sign() if", "return -gradient.sign() if", TENTHS),
    Mutation("Square keeps what is worse", "attacks/square.py", "better = found > best", "better = found < best", TENTHS),
    Mutation("FAB overshoots by a fifth", "attacks/fab.py", "point + eta * from_point", "point + 1.2 * from_point", OF_STEPS),
    Mutation("FAB is not drawn back", "attacks/fab.py", "inputs[rows] + beta * (point - inputs[rows])", "point", OF_STEPS),
    Mutation("DeepFool overshoots tenfold", "attacks/deepfool.py", "(1 + overshoot) * total", "(1 + 10 * overshoot) * total", PERCENT),
    Mutation("DDN keeps the last success", "attacks/ddn.py", "better = hit & (size < nearest)", "better = hit", PERCENT),
    Mutation("CW in L2 keeps the farthest success", "robench/attacking/carlini.py", "(sizes < self._sizes[rows])", "((sizes > self._sizes[rows]) | ~self._sizes[rows].isfinite())", PERCENT),
    Mutation("CW in L2 forgets those below its confidence", "attacks/cw_l2.py", "found > enough[rows], success)", "success, success)", PROMISES),
    Mutation("CW in L∞ does not pay for what is beyond τ", "attacks/cw_linf.py", "loss = c * (2 * margin - found).relu() + excess", "loss = c * (2 * margin - found).relu()", PERCENT),
    Mutation("EAD does not shrink", "attacks/ead.py", "(delta.abs() - beta).relu()", "delta.abs()", PERCENT),
    Mutation("RayS ends its bisection at once", "attacks/rays.py", "<= tolerance)", "<= 1000 * tolerance)", PERCENT),
]

APGD, FAB, DDN, EAD, DEEPFOOL = (f"attacks/{name}.py" for name in ("apgd", "fab", "ddn", "ead", "deepfool"))
CW_L2, CW_LINF, CARLINI = "attacks/cw_l2.py", "attacks/cw_linf.py", "robench/attacking/carlini.py"
SQUARE, RAYS = "attacks/square.py", "attacks/rays.py"
ART, AUTOATTACK, OF_ENDS = "attacks/art.py", "attacks/autoattack.py", "attacks/test_ends_by_hand.py"
OF_ITERATES, OF_SEARCHES = "attacks/test_iterates.py", "attacks/test_searches.py"
STEPPED = [
    Mutation("APGD has no momentum", APGD, "MOMENTUM = 0.75", "MOMENTUM = 1.0", OF_ITERATES),
    Mutation("APGD never halves its step", APGD, "torch.where(halve, size / 2, size)", "size", OF_ITERATES),
    Mutation("APGD does not go back to the best", APGD, "point = torch.where(rowwise(halve, point), best, point)", "pass", OF_ITERATES),
    Mutation("APGD goes on with the slope of elsewhere", APGD, "gradient = torch.where(rowwise(halve, point), best_gradient, gradient)", "pass", OF_ITERATES),
    Mutation("APGD halves where three quarters rise", APGD, "RISES = 0.75", "RISES = 0.85", OF_ITERATES),
    Mutation("APGD halves where few rise", APGD, "RISES = 0.75", "RISES = 0.1", OF_ITERATES),
    Mutation("APGD does not look at its best", APGD, " | (~reduced & (best_at_look >= best_loss))", "", OF_ITERATES),
    Mutation("APGD halves twice on end for the same best", APGD, "(~reduced & (best_at_look", "((best_at_look", OF_ITERATES),
    Mutation("APGD first looks late", APGD, "int(0.22 * steps)", "int(0.3 * steps)", OF_ITERATES),
    Mutation("APGD looks at equal intervals", APGD, "look = max(look - shrink, least)", "look = max(look, least)", OF_ITERATES),
    Mutation("APGD looks at every step in the end", APGD, "int(0.06 * steps)", "int(0.01 * steps)", OF_ITERATES),
    Mutation("APGD begins with a step of eps", APGD, "size = torch.full_like(size, 2 * eps)", "size = torch.full_like(size, eps)", OF_ITERATES),
    Mutation("APGD counts the rises of all steps", APGD, "best_loss, halve, torch.zeros_like(rises), 0", "best_loss, halve, rises, 0", OF_ITERATES),
    Mutation("APGD starts inside its ball", APGD, "inputs + eps * noise / rowwise(size, noise)", "inputs + 0.5 * eps * noise / rowwise(size, noise)", OF_ITERATES),
    Mutation("APGD restarts at the same point", APGD, 'draw("start", restart, None', 'draw("start", 0, None', OF_ITERATES),
    Mutation("targeted APGD has one target", APGD, "runners_up(model(inputs), labels, target_classes)", "runners_up(model(inputs), labels, 1)", OF_ITERATES),
    Mutation("the likeliest other class is the label", LOSSES, "    others = logits.scatter(1, labels[:, None], -torch.inf)\n    return others.topk", "    others = logits\n    return others.topk", OF_ITERATES),
    Mutation("FAB projects its point alone", FAB, ".clamp_max(alpha_max)", ".clamp_max(0)", OF_ITERATES),
    Mutation("FAB's mean has no largest share", FAB, ".clamp_max(alpha_max)", ".clamp_max(1)", OF_ITERATES),
    Mutation("FAB's mean is nearer to the image", FAB, "(near / (near + far))", "(far / (near + far))", OF_ITERATES),
    Mutation("FAB does not overshoot from the image", FAB, "inputs + eta * from_input", "inputs + from_input", OF_ITERATES),
    Mutation("FAB ignores beta", FAB, "inputs[rows] + beta * (point", "inputs[rows] + 0.9 * (point", OF_ITERATES),
    Mutation("DDN's sphere grows after a success", DDN, "radius * (1 - gamma), radius * (1 + gamma)", "radius * (1 + gamma), radius * (1 - gamma)", OF_ITERATES),
    Mutation("DDN ignores gamma", DDN, "radius * (1 - gamma), radius * (1 + gamma)", "radius * 0.95, radius * 1.05", OF_ITERATES),
    Mutation("DDN's steps do not fall", DDN, "(0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2)", "1.0", OF_ITERATES),
    Mutation("DDN's steps are in radii of the last sphere", DDN, "rate * first /", "rate * radius /", OF_ITERATES),
    Mutation("CW in L2 does not bisect", CW_L2, "(low + high) / 2, 10 * c)", "high, 10 * c)", OF_ITERATES),
    Mutation("CW in L2 lets c grow twofold", CW_L2, "(low + high) / 2, 10 * c)", "(low + high) / 2, 2 * c)", OF_ITERATES),
    Mutation("CW in L2 forgets which c failed", CW_L2, "torch.where(succeeded, low, torch.maximum(low, c))", "low", OF_ITERATES),
    Mutation("CW in L2 raises c after a success", CW_L2, "torch.where(succeeded, torch.minimum(high, c), high)", "torch.where(~succeeded, torch.minimum(high, c), high)", OF_ITERATES),
    Mutation("CW in L2 does not end with the c that worked", CW_L2, "c = torch.where(high.isfinite(), high, c)", "pass", OF_ITERATES),
    Mutation("CW in L2 never gives a c up", CW_L2, "going = loss <= 0.9999 * before", "going = loss <= torch.inf", OF_ITERATES),
    Mutation("CW in L2 gives every c up", CW_L2, "step % max(10, steps // 10) == 0", "step % max(1, steps // 100) == 0", OF_ITERATES),
    Mutation("CW in L2 has one rate for all", CW_L2, "rates = (2 * first / inputs[0].numel() ** 0.5).clamp(1e-4, 0.1)", "rates = one_a_row(inputs, 0.01)", OF_ITERATES),
    Mutation("CW in L2 goes to the boundary at once", CW_L2, "FIRST_STEP = 0.3", "FIRST_STEP = 1.0", OF_ITERATES),
    Mutation("CW in L∞ ignores the growth of c", CW_LINF, "torch.where(tired, c_factor * c, c)", "torch.where(tired, 10 * c, c)", OF_ITERATES),
    Mutation("CW in L∞ lets c grow at once", CW_LINF, "(used >= steps)", "(used >= 1)", OF_ITERATES),
    Mutation("CW in L∞ lets c grow for ever", CW_LINF, "largest_c * scale[rows]", "1e3 * largest_c * scale[rows]", OF_ITERATES),
    Mutation("CW in L∞ ignores its decrease", CW_LINF, "decrease * torch.minimum(tau, size)", "0.5 * torch.minimum(tau, size)", OF_ITERATES),
    Mutation("CW in L∞ lowers τ from its own value alone", CW_LINF, "decrease * torch.minimum(tau, size)", "decrease * tau", OF_ITERATES),
    Mutation("CW in L∞ has one rate for all τ", CW_LINF, "(tau / SLOW_TAU).clamp(1, 10)", "1.0", OF_ITERATES),
    Mutation("CW in L∞ begins again at the image", CW_LINF, "torch.where(rowwise(success, here), here, begin)", "begin", OF_ITERATES),
    Mutation("Adam forgets squares fast", CARLINI, "self._square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)", "self._square.mul_(0.9).addcmul_(gradient, gradient, value=0.1)", OF_ITERATES),
    Mutation("Adam is not corrected for its first steps", CARLINI, "(1 - 0.999**self._steps).sqrt() / (1 - 0.9**self._steps), gradient)", "1.0 + 0 * self._steps, gradient)", OF_ITERATES),
    Mutation("EAD has no momentum", EAD, "step / (step + 3) * (moved - point)", "0 * (moved - point)", OF_ITERATES),
    Mutation("EAD's steps do not fall", EAD, "(1 - step / steps) ** 0.5", "1.0", OF_ITERATES),
    Mutation("EAD swaps its rules of decision", EAD, 'if decision == "l1"', 'if decision != "l1"', OF_ITERATES),
    Mutation("EAD's elastic net is ‖δ‖²", EAD, "delta.square().sum(1) + beta * delta.abs().sum(1)", "delta.square().sum(1)", OF_ITERATES),
    Mutation("EAD ignores its confidence", EAD, "wanted = confidence + enough", "wanted = enough", OF_ITERATES),
    Mutation("CW in L2 ignores its confidence", CW_L2, "wanted = confidence + enough", "wanted = enough", OF_ITERATES),
    Mutation("RayS ends with what it asked last", "attacks/rays.py", "result[rows[hit]] = point[hit]", "result[rows] = point", "attacks/test_searches.py"),
    Mutation("a snapshot forgets the best epoch's weights", SNAPSHOTS, 'weights=parts["best"])', "weights={})", OF_TRAINING),
    Mutation("EAD does not bisect", EAD, "(low + high) / 2, 10 * c)", "high, 10 * c)", OF_ITERATES),
    Mutation("EAD forgets which c failed", EAD, "torch.where(succeeded, low, torch.maximum(low, c))", "low", OF_ITERATES),
    Mutation("EAD never gives a c up", EAD, "going = value <= 0.9999 * before", "going = value <= torch.inf", OF_ITERATES),
    Mutation("EAD ignores beta", EAD, "probe - lr * (1 - step / steps) ** 0.5 * gradient, inputs[rows], beta)", "probe - lr * (1 - step / steps) ** 0.5 * gradient, inputs[rows], 1e-3)", OF_ITERATES),
    Mutation("DeepFool goes to the last of its rivals", DEEPFOOL, "closer = distance < nearest", "closer = distance < torch.inf", OF_ITERATES),
    Mutation("DeepFool goes to the likeliest of its rivals", DEEPFOOL, "closer = distance < nearest", "closer = nearest.isinf()", OF_ITERATES),
    Mutation("DeepFool's distance is a difference of logits", DEEPFOOL, "distance = gap.detach().abs() / length", "distance = gap.detach().abs()", OF_ITERATES),
    Mutation("DeepFool ignores its overshoot", DEEPFOOL, "(1 + overshoot) * total", "1.02 * total", OF_ITERATES),
    Mutation("a mixed transfer begins with what an oracle has", "attacks/transfer.py", 'if options["mode"] == "mixed" else {"share": None}', 'if False else {"share": None}', OF_ITERATES),
    Mutation("an oracle has the rounds of a mixed transfer", "attacks/transfer.py", "else 6)}", "else 4)}", OF_ITERATES),
    Mutation("a transfer attacks the target itself", "attacks/transfer.py", 'asked = {"target": attacked, "model": options["source"]}', 'asked = {"target": attacked, "model": attacked}', OF_ITERATES),
    Mutation("attacks stop at the judge's own margin", LOSSES, "STOP_SHARE = 1e-4", "STOP_SHARE = 1e-5", OF_ITERATES),
    Mutation("a spread has no floor", LOSSES, "torch.maximum(top[:, 0] - top[:, -1], 0.1 * top[:, 0].abs())", "top[:, 0] - top[:, -1]", OF_ITERATES),
    Mutation("Square's squares stay large", SQUARE, "first / float(2**passed)", "first", OF_SEARCHES),
    Mutation("Square's squares shrink a query late", SQUARE, "step / queries * 10_000 > when", "step / queries * 10_000 > 1.3 * when", OF_SEARCHES),
    Mutation("Square forgets a halving", SQUARE, "(10, 50, 200, 500,", "(10, 50, 500,", OF_SEARCHES),
    Mutation("Square in L∞ ignores its share", SQUARE, "side = max(round((_share(share, step, queries if rescale else 10_000) * height * width) ** 0.5), 1)", "side = max(round((_share(0.8, step, queries if rescale else 10_000) * height * width) ** 0.5), 1)", OF_SEARCHES),
    Mutation("Square in L∞ ignores rescale", SQUARE, "side = max(round((_share(share, step, queries if rescale else 10_000) * height * width) ** 0.5), 1)", "side = max(round((_share(share, step, queries) * height * width) ** 0.5), 1)", OF_SEARCHES),
    Mutation("Square has one colour for all channels", SQUARE, 'signs("square/sign", step, rows, (channels, 1, 1))', 'signs("square/sign", step, rows, (1, 1, 1))', OF_SEARCHES),
    Mutation("Square has a colour for each pixel", SQUARE, 'signs("square/sign", step, rows, (channels, 1, 1))', 'signs("square/sign", step, rows, (channels, height, width))', OF_SEARCHES),
    Mutation("Square's colours are always bright", SQUARE, "torch.where(raised, high[rows], low[rows])", "high[rows]", OF_SEARCHES),
    Mutation("Square begins with noise", SQUARE, 'signs("start", 0, rows, (channels, 1, width))', 'signs("start", 0, rows, (channels, height, width))', OF_SEARCHES),
    Mutation("Square never reaches the last row and column", SQUARE, "(size - side + 1)).long()", "(size - side)).long()", OF_SEARCHES),
    Mutation("Square goes on from the last proposal", SQUARE, "point = torch.where(rowwise(better, point), proposed, point)", "point = proposed", OF_SEARCHES),
    Mutation("Square in L2 keeps what its giver had", SQUARE, "torch.where(giver, torch.zeros_like(delta), delta)", "delta", OF_SEARCHES),
    Mutation("Square in L2 forgets the giver's length", SQUARE, "(delta * (taker | giver)).square()", "(delta * taker).square()", OF_SEARCHES),
    Mutation("the hill has no second half", SQUARE, "hill[upper:] = -_stack", "hill[upper:] = _stack", OF_SEARCHES),
    Mutation("the hill's steps fall with 1 / k", SQUARE, "// 2 + 2).square()", "// 2 + 2)", OF_SEARCHES),
    Mutation("RayS never turns smaller blocks", RAYS, "(2 * blocks[whole]).clamp_max(size)", "blocks[whole]", OF_SEARCHES),
    Mutation("RayS cuts blocks in four", RAYS, "(2 * blocks[whole]).clamp_max(size)", "(4 * blocks[whole]).clamp_max(size)", OF_SEARCHES),
    Mutation("RayS ends with single pixels", RAYS, "torch.where(blocks[whole] >= size, 1,", "torch.where(blocks[whole] >= size, blocks[whole],", OF_SEARCHES),
    Mutation("RayS turns what it has turned back", RAYS, "signs[rows[ends]], best[rows[ends]] = ray[ends], high[rows[ends]]", "best[rows[ends]] = high[rows[ends]]", OF_SEARCHES),
    Mutation("RayS asks at the farthest", RAYS, "best[rows].clamp_max(1.0))", "torch.ones_like(best[rows]))", OF_SEARCHES),
    Mutation("RayS bisects at a third", RAYS, "(low[rows] + high[rows]) / 2", "(2 * low[rows] + high[rows]) / 3", OF_SEARCHES),
    Mutation("what ART leaves on the boundary is moved on by a tenth", ART, "[1e-5 * 4**k for k in range(6)]", "[0.1]", OF_ENDS),
    Mutation("what ART leaves on the boundary stays there", ART, "for share in FURTHER:", "for share in []:", OF_ENDS),
    Mutation("what ART leaves before the boundary is moved on", ART, "rows = (left & beyond)", "rows = (left)", OF_ENDS),
    Mutation("what ART leaves is moved out of its ball", ART, "won if self.eps is None else won & inside(x, self.inputs[rows], self.norm, self.eps)", "won", OF_ENDS),
    Mutation("the nearest that ART asked about is forgotten", ART, "(self._size < size) if self.eps is None", "torch.zeros_like(left) if self.eps is None", OF_ENDS),
    Mutation("a success that ART asked about is forgotten", ART, "rowwise((left | lost)", "rowwise((lost)", OF_ENDS),
    Mutation("of what ART asked about the last is taken", ART, "if sizes[best] < self._size:", "if sizes[best] < torch.inf:", OF_ENDS),
    Mutation("AutoAttack gives all images to each part", AUTOATTACK, "left = left[~hit]", "left = left", OF_ENDS),
    Mutation("AutoAttack keeps what its last part finds", AUTOATTACK, "result[left[hit]] = found[hit]", "result[left] = found", OF_ENDS),
    Mutation("AutoAttack's Square has 500 queries", AUTOATTACK, '{"queries": 5000, "share": 0.8', '{"queries": 500, "share": 0.8', OF_ENDS),
    Mutation("AutoAttack's second part is not targeted", AUTOATTACK, 'Call(f"apgd_{norm}", {"loss": "dlr_targeted"}),', 'Call(f"apgd_{norm}", {"loss": "dlr"}),', OF_ENDS),
    Mutation("PGD takes short steps", PGD, "    size = step_size or 2.5 * eps / steps\n\n    def start", "    size = step_size or 1.0 * eps / steps\n\n    def start", OF_STEPS),
    Mutation("PGD in L1 ignores its sparsity", PGD, "max(1, round((1 - sparsity) * pixels), math.ceil(size))", "max(1, math.ceil(size))", OF_STEPS),
    Mutation("PGD in L1 takes short steps", PGD, "step_size or 8 * eps / steps", "step_size or 2.5 * eps / steps", OF_STEPS),
]

KEPT = [
    Mutation("success needs no margin", LOSSES, "SUCCESS_SHARE = 1e-5", "SUCCESS_SHARE = -1e-5", OF_JUDGE),
    Mutation("margins are absolute", CLASSIFIER, "STOP_SHARE * self.spread(like, rows)", "STOP_SHARE + 0 * self.spread(like, rows)", PROMISES),
    Mutation("the judge's margin is absolute", JUDGE, "SUCCESS_SHARE * spread(clean)", "SUCCESS_SHARE * (1 + 0 * spread(clean))", PROMISES),
    Mutation("the spread goes down to classes that are left out", LOSSES, "min(3, logits.shape[1])", "logits.shape[1]", OF_JUDGE),
    Mutation("an image that did not change may be a success", JUDGE, "unmoved = success &", "unmoved = ~success & success &", STATE),
    Mutation("AutoAttack has a ball of its own", "attacks/autoattack.py", "hit &= inside(found, inputs[left], norm, eps)", "hit &= (found - inputs[left]).flatten(1).abs().amax(1) <= eps * (1 + 1e-6) if norm == 'linf' else hit", PROMISES),
    Mutation("FAB forgets where it was drawn back to", "attacks/fab.py", "keep(point.detach(), rows, hit)", "pass", PROMISES),
    Mutation("CW in L∞ keeps what it finds last", "attacks/cw_linf.py", "better = fooled & (size < nearest[rows])", "better = fooled", PROMISES),
    Mutation("c does not go with the logits' scale", "robench/attacking/carlini.py", "USUAL_SPREAD / spread.clamp_min(1e-12)", "USUAL_SPREAD / spread.clamp_min(10.0)", PROMISES),
    Mutation("the model works on the attack's own tensor", CLASSIFIER, "module(inputs.clone())", "module(inputs)", STATE),
    Mutation("changed weights are not seen", STILL, "or not _same(now, copy)", "", STATE),
    Mutation("changed modes are not seen", STILL, 'return "its mode" if any', 'return "its mode" if False and any', STATE),
    Mutation("weights are not put back", STILL, "tensor.data = copy.clone()", "pass", STATE),
    Mutation("precision is not looked at", STILL, "module if own == dtype else Native(module, own)", "module", STATE),
    Mutation("what is passed on stays where it was given", ENTRY, "if n not in option.passes.names", "if n", NESTED),
    Mutation("a nested default that is given is another model", ENTRY, "if not entry.default(n, v)}", "if n}", NESTED),
    Mutation("an unmarked nested call loses its defaults", ENTRY, "if n in given or n in told", "if n in told", NESTED),
    Mutation("helpers are not hashed", SOURCES, "for name, file in sorted(helpers.items())", "for name, file in []", CODE),
    Mutation("helpers of helpers are not hashed", SOURCES, "waiting += _imported(file, package)", "pass", CODE),
    Mutation("the code that changed is not named", "robench/records/changes.py", "if files else []", "if False else []", CODE),
]

# fmt: on
MUTATIONS = OBJECTIVES + TRAINED + JUDGED + REPORTED + NAMED + ATTACKED + STEPPED + KEPT
