"""The formulas of PPO, tensor in and tensor out (Schulman et al. 2017; Ziegler et al. 2019 for the KL term).

Shapes: n replies, each right-padded to R tokens; `mask` (n, R) is 1 on the tokens of the reply, its end token
included, and 0 on padding. Every reply has at least one token. Log-probabilities and divergences are in nats.
"""

import torch
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of (n, R) values over the tokens that count, a scalar."""
    return (values * mask).sum() / mask.sum()


def masked_variance(values: Tensor, mask: Tensor) -> Tensor:
    """Return the population variance of (n, R) values over the tokens that count, a scalar."""
    return masked_mean((values - masked_mean(values, mask)) ** 2, mask)


def masked_whiten(values: Tensor, mask: Tensor, epsilon: float = 1e-8) -> Tensor:
    """Shift and scale (n, R) values to mean 0 and variance 1 over the tokens that count; padding becomes 0."""
    centred = values - masked_mean(values, mask)
    return centred * torch.rsqrt(masked_variance(values, mask) + epsilon) * mask


def sequence_kl(logprobs: Tensor, reference_logprobs: Tensor, mask: Tensor) -> Tensor:
    """Estimate KL(policy || reference) of each reply from its own tokens: (n,), in nats per reply."""
    return ((logprobs - reference_logprobs) * mask).sum(1)


def token_rewards(scores: Tensor, logprobs: Tensor, reference_logprobs: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    """Pay -kl_coef * (log p - log p_ref) at every token and the reply's score (n,) at its last one: (n, R).

    Ziegler et al. 2019, equation 2. Summed over a reply this is `score - kl_coef * sequence_kl`.
    """
    rewards = -kl_coef * (logprobs - reference_logprobs) * mask
    last = mask.long().sum(1, keepdim=True) - 1
    return rewards.scatter_add(1, last, scores[:, None].to(rewards.dtype))


def generalised_advantages(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, gae_lambda: float
) -> tuple[Tensor, Tensor]:
    """Return GAE advantages and the returns that the value head is fitted to, both (n, R), 0 on padding.

    delta_t = r_t + gamma V_{t+1} - V_t and A_t = delta_t + gamma lambda A_{t+1}, with V = A = 0 behind the last token
    (Schulman et al. 2016, equations 12 and 16). The return is A_t + V_t.
    """
    values, rewards = values * mask, rewards * mask
    advantage = torch.zeros_like(values[:, 0])
    next_value = torch.zeros_like(values[:, 0])
    reversed_advantages = []
    for t in range(values.shape[1] - 1, -1, -1):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        advantage = (delta + gamma * gae_lambda * advantage) * mask[:, t]
        next_value = values[:, t]
        reversed_advantages.append(advantage)
    advantages = torch.stack(reversed_advantages[::-1], dim=1)
    return advantages, advantages + values


def clipped_policy_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, clip_range: float
) -> tuple[Tensor, Tensor]:
    """Return PPO's clipped surrogate, negated so that it is minimised, and the share of tokens where the clip binds.

    -mean(min(rho A, clip(rho, 1 - c, 1 + c) A)), rho = exp(log p - log p_old) (Schulman et al. 2017, equation 7).
    """
    ratio = torch.exp(logprobs - old_logprobs)
    free = ratio * advantages
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range) * advantages
    binds = (clipped < free).to(free.dtype)
    return -masked_mean(torch.minimum(free, clipped), mask), masked_mean(binds, mask).detach()


def clipped_value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, clip_range: float
) -> tuple[Tensor, Tensor]:
    """Return half the squared error of the values, the worse of free and clipped, and the share where the clip binds.

    A value may move by `clip_range` from what it was at the rollout; beyond that its gradient is 0.
    """
    near = old_values + (values - old_values).clamp(-clip_range, clip_range)
    free, clipped = (values - returns) ** 2, (near - returns) ** 2
    # within the range `near` is the value but for its rounding, which is no clip
    binds = ((clipped > free) & ((values - old_values).abs() > clip_range)).to(free.dtype)
    return 0.5 * masked_mean(torch.maximum(free, clipped), mask), masked_mean(binds, mask).detach()


def approximate_kl(logprobs: Tensor, old_logprobs: Tensor, mask: Tensor) -> Tensor:
    """Estimate KL(old || new) per token on tokens drawn from the old policy: mean(rho - 1 - log rho), never below 0."""
    log_ratio = logprobs - old_logprobs
    return masked_mean(torch.expm1(log_ratio) - log_ratio, mask)


def lr_factor(step: int, warmup: int, steps: int, min_rate: float) -> float:
    """Return what a learning rate is multiplied by at a step, counted from 0, of so many.

    It rises linearly to 1 over `warmup` steps, and falls linearly to `min_rate`, which the last step has.
    """
    done = step + 1
    if done < warmup or warmup >= steps:
        return min(1.0, done / max(1, warmup))
    return 1 - (1 - min_rate) * min(1.0, (done - warmup) / (steps - warmup))


def adapted_kl_coef(kl_coef: float, kl: float, target: float, n: int, horizon: float) -> float:
    """Move the KL coefficient towards the target after n replies of mean divergence `kl` (nats per reply).

    kl_coef * (1 + clip(kl / target - 1, -0.2, 0.2) * n / horizon): proportional control in log space with a bounded
    error (Ziegler et al. 2019, section 2.2).
    """
    error = min(max(kl / target - 1.0, -0.2), 0.2)
    return kl_coef * (1.0 + error * n / horizon)


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """Return 1 - Var(returns - values) / Var(returns): 1 for a perfect critic, 0 for a constant one."""
    total = masked_variance(returns, mask)
    if total <= 0:
        return 0.0
    return float(1.0 - masked_variance(returns - values, mask) / total)
