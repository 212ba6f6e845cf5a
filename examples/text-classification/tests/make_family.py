#!/usr/bin/env python3
"""Writes tests/family: a tiny random model of each kind with what transformers computes of it.

    pip install torch==2.15.0 transformers==5.24.0 safetensors
    python3 tests/make_family.py tests/family

Each folder holds config.json and model.safetensors as transformers saves them, and reference.json, a list of
{"ids": [..], "vectors": [[..]]}: a text's tokens, and the vector of each from the last layer, computed in float64.
"""
import argparse
import json
import pathlib

import torch
from transformers import (
    BertConfig,
    BertModel,
    CamembertConfig,
    CamembertModel,
    DebertaV2Config,
    DebertaV2Model,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    MPNetConfig,
    MPNetModel,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

WORDS, WIDTH, HEADS, LAYERS, INNER, LONGEST = 30, 12, 3, 2, 20, 40
USUAL = {
    "vocab_size": WORDS,
    "hidden_size": WIDTH,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "intermediate_size": INNER,
}
# RoBERTa and MPNet count positions from their padding token's number, 1, plus one.
SHIFTED = {**USUAL, "max_position_embeddings": LONGEST + 2, "pad_token_id": 1, "layer_norm_eps": 1e-5}

KINDS = {
    "bert": (BertModel, BertConfig(**USUAL, max_position_embeddings=LONGEST, hidden_act="gelu_new")),
    "roberta": (RobertaModel, RobertaConfig(**SHIFTED, type_vocab_size=1)),
    "xlm-roberta": (XLMRobertaModel, XLMRobertaConfig(**SHIFTED, type_vocab_size=1)),
    # Types that its tokenizer never gives.
    "camembert": (CamembertModel, CamembertConfig(**SHIFTED, type_vocab_size=2)),
    "mpnet": (MPNetModel, MPNetConfig(**SHIFTED)),
    "distilbert": (
        DistilBertModel,
        DistilBertConfig(
            vocab_size=WORDS,
            dim=WIDTH,
            n_heads=HEADS,
            n_layers=LAYERS,
            hidden_dim=INNER,
            max_position_embeddings=LONGEST,
        ),
    ),
    "electra": (ElectraModel, ElectraConfig(**USUAL, embedding_size=8, max_position_embeddings=LONGEST)),
    # As in version 3, with buckets so few that the longest text needs all kinds of them.
    "deberta-v2": (
        DebertaV2Model,
        DebertaV2Config(
            **USUAL,
            max_position_embeddings=LONGEST,
            relative_attention=True,
            position_biased_input=False,
            pos_att_type="p2c|c2p",
            share_att_key=True,
            norm_rel_ebd="layer_norm",
            position_buckets=12,
        ),
    ),
}

# Of several lengths, the last as long as the positions: distances of tokens reach MPNet's wider buckets.
TEXTS = [[2, 11, 8, 13, 6, 3], [2, 3], [5 + 7 * i % 25 for i in range(LONGEST)]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    for seed, (kind, (model, config)) in enumerate(KINDS.items()):
        torch.manual_seed(seed)
        made = model(config).eval()
        with torch.no_grad():
            # Far from the initial weights, with which layers hardly differ from the identity.
            for name, tensor in made.named_parameters():
                centre = 1.0 if name.endswith("LayerNorm.weight") or name.endswith("layer_norm.weight") else 0.0
                tensor.uniform_(centre - 0.4, centre + 0.4)
            made.save_pretrained(folder / kind)
            wide = made.double()
            texts = [torch.tensor([text]) for text in TEXTS]
            vectors = [wide(ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0] for ids in texts]
        reference = [
            {"ids": text, "vectors": [[round(v, 9) for v in row] for row in rows.tolist()]}
            for text, rows in zip(TEXTS, vectors)
        ]
        (folder / kind / "reference.json").write_text(json.dumps(reference) + "\n")


if __name__ == "__main__":
    main()
