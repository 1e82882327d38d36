"""Whisper checkpoints of the true sizes, with random weights, that decode a fixed number of tokens in every window.

No weights can be fetched on a closed machine. What a window costs depends on the sizes of the matrices and on how many
tokens are decoded, not on what the numbers in them are: the encoder is random as it stands, and the decoder's positions
are so strong that each leads to the next token of a script.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

# Width, heads, layers of encoder and decoder, as OpenAI published them.
SIZES = {"tiny": (384, 6, 4), "base": (512, 8, 6), "small": (768, 12, 12)}
LONGEST_SCRIPT = 200
_VOCABULARY_SIZE = 51865
_AUDIO_CONTEXT = 1500
_TEXT_CONTEXT = 448
_LAST_MOMENT_S = 28.0
_MOMENT_S = 0.02


def write_sized_checkpoint(path: Path, size: str, token_count: int) -> Path:
    """Write an openai-whisper checkpoint of that size whose every window has `token_count` words of one token each."""
    import torch
    from whisper.model import ModelDimensions, Whisper
    from whisper.tokenizer import get_tokenizer

    width, head_count, layer_count = SIZES[size]
    tokenizer = get_tokenizer(multilingual=True, language="en", task="transcribe")
    script = [
        *(tokenizer.sot, tokenizer.to_language_token("en"), tokenizer.transcribe, tokenizer.timestamp_begin),
        *_words(tokenizer, token_count),
        *(tokenizer.timestamp_begin + round(_LAST_MOMENT_S / _MOMENT_S), tokenizer.eot),
    ]
    sizes = ModelDimensions(
        n_mels=80,
        n_audio_ctx=_AUDIO_CONTEXT,
        n_audio_state=width,
        n_audio_head=head_count,
        n_audio_layer=layer_count,
        n_vocab=_VOCABULARY_SIZE,
        n_text_ctx=_TEXT_CONTEXT,
        n_text_state=width,
        n_text_head=head_count,
        n_text_layer=layer_count,
    )
    torch.manual_seed(0)
    model = Whisper(sizes)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "ln" not in name:
                weights.normal_(0, 0.02 if name.startswith("encoder") else 1e-3)
        embedding, position = model.decoder.token_embedding.weight, model.decoder.positional_embedding
        position.zero_()
        axes = {token: axis for axis, token in enumerate(sorted(script))}
        for token, axis in axes.items():
            embedding[token].zero_()
            embedding[token, axis] = 8.0
        for place in range(_TEXT_CONTEXT):
            following = script[min(place + 1, len(script) - 1)]
            position[place, axes[following]] = 100.0
    torch.save({"dims": asdict(sizes), "model_state_dict": model.state_dict()}, path)
    return path


def _words(tokenizer: Any, count: int) -> list[int]:
    """Tokens that are a whole word each, so that nothing looks like a loop."""
    if count > LONGEST_SCRIPT:
        raise ValueError(f"at most {LONGEST_SCRIPT} tokens fit the smallest model's width")
    found = []
    for token in range(300, 20000):
        text = tokenizer.encoding.decode([token])
        if text.startswith(" ") and text[1:].isalpha() and len(text) > 4:
            found.append(token)
        if len(found) == count:
            break
    return found
