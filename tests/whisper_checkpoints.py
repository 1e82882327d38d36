"""Tiny Whisper checkpoints that always hear the same words, for both libraries, made without a network.

A true checkpoint cannot be fetched in a test. These have Whisper's architecture, files and tokens, but their decoder is
a chain: each token leads to the next one of the script, whatever is heard, and listens to the script's moment. So
everything around the weights is tested as it is: loading, windows, language detection, decoding with its rules, word
times, mapping back to the recording.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

Segment = tuple[float, float, str]

DEFAULT_SCRIPT: tuple[Segment, ...] = ((0.0, 8.0, " Thank you for calling, how can I help?"),)

_VOCABULARY_SIZE = 51865
_TEXT_CONTEXT = 448
_TOKEN_STRENGTH = 8.0
_NEXT_STRENGTH = 100.0
_HEAR_STRENGTH = 4.0
_FRAME_S = 0.02
# Waves shorter than half a second make of a look at a moment a peak that the smoothing of word times takes away.
_LONGEST_WAVE_LEFT_OUT_S = 0.5


def write_checkpoint(path: Path, script: Sequence[Segment] = DEFAULT_SCRIPT, *, language: str = "en") -> Path:
    """Write an openai-whisper checkpoint (`.pt`) that hears `script`, as (start_s, end_s, text), in every window.

    Raises ValueError when a token comes twice: then the chain would not know how to go on.
    """
    import torch
    from whisper.model import ModelDimensions, Whisper
    from whisper.tokenizer import get_tokenizer

    tokenizer = get_tokenizer(multilingual=True, language=language, task="transcribe")
    following = _chain(tokenizer, script, language)
    axes = {token: axis for axis, token in enumerate(sorted(set(following) | set(following.values())))}
    width = -(-len(axes) // 8) * 8
    sizes = ModelDimensions(
        n_mels=80,
        n_audio_ctx=1500,
        n_audio_state=width,
        n_audio_head=1,
        n_audio_layer=1,
        n_vocab=_VOCABULARY_SIZE,
        n_text_ctx=_TEXT_CONTEXT,
        n_text_state=width,
        n_text_head=1,
        n_text_layer=1,
    )
    model = Whisper(sizes)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "ln" not in name:
                weights.zero_()
        _write_chain(model.decoder, following, axes)
        _write_hearing(model, {axes[token]: moment for token, moment in _moments(tokenizer, script).items()})
    weights_by_name = {name: weights.half() for name, weights in model.state_dict().items()}
    torch.save({"dims": asdict(sizes), "model_state_dict": weights_by_name}, path)
    return path


def _chain(tokenizer: Any, script: Sequence[Segment], language: str) -> dict[int, int]:
    """What follows each token, from the start of a transcript to its end."""
    spoken: list[int] = []
    for segment in script:
        first, last = (tokenizer.timestamp_begin + round(moment / _FRAME_S) for moment in segment[:2])
        spoken += [first, *tokenizer.encode(segment[2]), last]
    if len(set(spoken)) != len(spoken):
        raise ValueError("a token comes twice in the script")
    chain = [tokenizer.sot, tokenizer.to_language_token(language), tokenizer.transcribe, *spoken, tokenizer.eot]
    following = dict(pairwise(chain))
    return following | {
        tokenizer.eot: tokenizer.eot,
        tokenizer.translate: spoken[0],
        tokenizer.no_timestamps: spoken[1],
    }


def _moments(tokenizer: Any, script: Sequence[Segment]) -> dict[int, float]:
    """The moment (seconds of the window) that is listened to after each token: where the next one is heard."""
    moments: dict[int, float] = {}
    before = tokenizer.no_timestamps
    for start_s, end_s, text in script:
        tokens = tokenizer.encode(text)
        for number, token in enumerate(tokens):
            moments[before] = start_s + (number + 0.5) / len(tokens) * (end_s - start_s)
            before = token
        moments[before] = end_s
    return moments


def _write_chain(decoder: Any, following: dict[int, int], axes: dict[int, int]) -> None:
    """Each token is an axis of its own; the one layer's feed-forward part turns a token's axis into the next one's."""
    for token, axis in axes.items():
        decoder.token_embedding.weight[token, axis] = _TOKEN_STRENGTH
    into, _, out = decoder.blocks[0].mlp
    # After the layer's normalisation the token's own axis is near sqrt(width), all others are below zero: one passes.
    into.bias.fill_(-1.0)
    for unit, (token, next_token) in enumerate(following.items()):
        into.weight[unit, axes[token]] = 1.0
        out.weight[axes[next_token], unit] = _NEXT_STRENGTH


def _write_hearing(model: Any, moments: dict[int, float]) -> None:
    """What the encoder tells of a frame is its place; a token's axis asks for the place of its moment.

    So words lie at the same times whatever the library and the processor round.
    """
    import torch

    hearing = model.decoder.blocks[0].cross_attn
    places = model.encoder.ln_post(model.encoder.positional_embedding)
    width = places.shape[1]
    hearing.key.weight.fill_diagonal_(1.0)
    wave_s = 2 * math.pi * _FRAME_S * 10_000 ** (torch.arange(width // 2) / (width // 2 - 1))
    is_kept = (wave_s > _LONGEST_WAVE_LEFT_OUT_S).repeat(2)
    for axis, moment in moments.items():
        hearing.query.weight[:, axis] = _HEAR_STRENGTH * is_kept * places[round(moment / _FRAME_S)]
    # Normalised, the axes of all other tokens are a little below zero.
    hearing.query.bias.copy_(hearing.query.weight.sum(1) / math.sqrt(width - 1))


def convert_checkpoint(checkpoint: Path, folder: Path) -> Path:
    """Convert an openai-whisper checkpoint to the CTranslate2 folder that faster-whisper reads, with its tokenizer."""
    import torch
    from ctranslate2.specs import whisper_spec
    from whisper.tokenizer import get_tokenizer

    stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
    sizes = stored["dims"]
    weights = {name: tensor.float().numpy() for name, tensor in stored["model_state_dict"].items()}
    tokenizer = get_tokenizer(multilingual=True, num_languages=sizes["n_vocab"] - 51765 - 1)
    spec = whisper_spec.WhisperSpec(
        sizes["n_audio_layer"], sizes["n_audio_head"], sizes["n_text_layer"], sizes["n_text_head"]
    )
    _fill_encoder(spec.encoder, weights)
    _fill_decoder(spec.decoder, weights)
    names = _token_names(tokenizer.encoding)
    spec.register_vocabulary(names)
    spec.config.suppress_ids = sorted(tokenizer.non_speech_tokens)
    spec.config.suppress_ids_begin = [tokenizer.encode(" ")[0], tokenizer.eot]
    spec.config.lang_ids = sorted(tokenizer.all_language_tokens)
    spec.config.alignment_heads = [
        (layer, head)
        for layer in range(sizes["n_text_layer"] // 2, sizes["n_text_layer"])
        for head in range(sizes["n_text_head"])
    ]
    spec.validate()
    spec.optimize()
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    _write_tokenizer(tokenizer.encoding, names, folder / "tokenizer.json")
    features = {"feature_size": sizes["n_mels"], "sampling_rate": 16000, "hop_length": 160, "n_fft": 400}
    (folder / "preprocessor_config.json").write_text(json.dumps({**features, "chunk_length": 30}))
    return folder


def _fill_encoder(encoder: Any, weights: dict[str, Any]) -> None:
    for name in ("conv1", "conv2"):
        _fill_linear(getattr(encoder, name), weights, f"encoder.{name}")
    encoder.position_encodings.encodings = weights["encoder.positional_embedding"]
    _fill_norm(encoder.layer_norm, weights, "encoder.ln_post")
    for index, layer in enumerate(encoder.layer):
        _fill_layer(layer, weights, f"encoder.blocks.{index}")


def _fill_decoder(decoder: Any, weights: dict[str, Any]) -> None:
    decoder.embeddings.weight = weights["decoder.token_embedding.weight"]
    decoder.projection.weight = decoder.embeddings.weight
    decoder.position_encodings.encodings = weights["decoder.positional_embedding"]
    _fill_norm(decoder.layer_norm, weights, "decoder.ln")
    for index, layer in enumerate(decoder.layer):
        block = f"decoder.blocks.{index}"
        _fill_layer(layer, weights, block)
        _fill_attention(layer.attention, weights, f"{block}.cross_attn", is_self=False)
        _fill_norm(layer.attention.layer_norm, weights, f"{block}.cross_attn_ln")


def _fill_layer(layer: Any, weights: dict[str, Any], block: str) -> None:
    _fill_attention(layer.self_attention, weights, f"{block}.attn", is_self=True)
    _fill_norm(layer.self_attention.layer_norm, weights, f"{block}.attn_ln")
    _fill_linear(layer.ffn.linear_0, weights, f"{block}.mlp.0")
    _fill_linear(layer.ffn.linear_1, weights, f"{block}.mlp.2")
    _fill_norm(layer.ffn.layer_norm, weights, f"{block}.mlp_ln")


def _fill_attention(attention: Any, weights: dict[str, Any], name: str, *, is_self: bool) -> None:
    from ctranslate2.converters.utils import fuse_linear
    from ctranslate2.specs.common_spec import LinearSpec

    query, key, value = LinearSpec(), LinearSpec(), LinearSpec()
    for part, part_name in ((query, "query"), (key, "key"), (value, "value")):
        _fill_linear(part, weights, f"{name}.{part_name}")
    if is_self:
        fuse_linear(attention.linear[0], [query, key, value])
    else:
        fuse_linear(attention.linear[0], [query])
        fuse_linear(attention.linear[1], [key, value])
    _fill_linear(attention.linear[-1], weights, f"{name}.out")


def _fill_linear(spec: Any, weights: dict[str, Any], name: str) -> None:
    spec.weight = weights[f"{name}.weight"]
    if f"{name}.bias" in weights:
        spec.bias = weights[f"{name}.bias"]


def _fill_norm(spec: Any, weights: dict[str, Any], name: str) -> None:
    spec.gamma, spec.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]


def _byte_letters() -> dict[int, str]:
    """A visible letter for each byte, as byte-level vocabularies are written: itself where it is printable Latin-1."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    return {byte: chr(byte if byte in printable else next(spare)) for byte in range(256)}


def _token_names(encoding: Any) -> list[str]:
    letters = _byte_letters()
    special = {token: name for name, token in encoding._special_tokens.items()}
    return [
        special.get(token) or "".join(letters[byte] for byte in encoding.decode_single_token_bytes(token))
        for token in range(_VOCABULARY_SIZE)
    ]


def _write_tokenizer(encoding: Any, names: Sequence[str], path: Path) -> None:
    """The `tokenizer.json` without which faster-whisper would ask the hub for one."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    ranks: dict[bytes, int] = encoding._mergeable_ranks
    letters = _byte_letters()
    merges: list[tuple[str, str]] = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) > 1:
            first, second = ("".join(letters[byte] for byte in half) for half in _last_pair(token, rank, ranks))
            merges.append((first, second))
    vocabulary = {names[rank]: rank for rank in ranks.values()}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = sorted(encoding._special_tokens.values())
    tokenizer.add_special_tokens([AddedToken(names[token], special=True, normalized=False) for token in special])
    tokenizer.save(str(path))


def _last_pair(token: bytes, rank: int, ranks: dict[bytes, int]) -> list[bytes]:
    """The two parts that a token was merged from: what byte pair encoding makes of it with the merges before it."""
    parts = [token[index : index + 1] for index in range(len(token))]
    while len(parts) > 2:
        joined = [ranks.get(parts[index] + parts[index + 1], rank) for index in range(len(parts) - 1)]
        at = joined.index(min(joined))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts
