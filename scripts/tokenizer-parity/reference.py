"""The token ids of the Python library: `reference.py FOLDER TOKENIZER OUT LIMIT`, for the strings in FOLDER/strings.json."""
import json
import os
import sys

from tokenizers import Tokenizer


def make_unigram(folder, path):
    """A Unigram tokenizer with the normalisation nmt_nfkc, trained by SentencePiece on the strings themselves."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
    from tokenizers import models, normalizers, pre_tokenizers, decoders, processors

    os.makedirs(os.path.dirname(path), exist_ok=True)
    strings = json.load(open(os.path.join(folder, "strings.json"), encoding="utf-8"))
    lines = [text.replace("\0", " ").replace("\n", " ")[:2000] for text in strings if text.strip()]
    prefix = os.path.join(folder, "unigram", "sp")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=prefix, vocab_size=9000, model_type="unigram",
        normalization_rule_name="nmt_nfkc", character_coverage=0.98, hard_vocab_limit=False, num_threads=1,
        minloglevel=2)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(open(prefix + ".model", "rb").read())
    vocabulary = [(piece.piece, piece.score) for piece in model.pieces]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap),
        normalizers.Replace(__import__("tokenizers").Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    tokenizer.save(path)


def main():
    folder, path, out, limit = sys.argv[1:]
    if not os.path.exists(path):
        make_unigram(folder, path)
    strings = json.load(open(os.path.join(folder, "strings.json"), encoding="utf-8"))
    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    whole = [tokenizer.encode(text).ids for text in strings]
    tokenizer.enable_truncation(int(limit), strategy="longest_first")
    cut = [tokenizer.encode(text).ids for text in strings]
    pairs = [tokenizer.encode(text, strings[(n + 1) % len(strings)]).ids for n, text in enumerate(strings)]
    json.dump([whole, cut, pairs], open(out, "w"))


main()
