const struct ggml_row NAME(ggml_rows)[GGML_ROWS] = {
    {12, NAME(encode_q4_k), NAME(weigh_q4_k), 0},
    {13, NAME(encode_q5_k), NAME(weigh_q5_k), 0},
};
