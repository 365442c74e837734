// The kernels of a level.
const struct ggml_row NAME(ggml_rows)[GGML_ROWS] = {
    {2, NAME(encode_q4_0), NAME(weigh_q4_0), 0},
    {3, NAME(encode_q4_1), NAME(weigh_q4_1), 0},
    {6, NAME(encode_q5_0), NAME(weigh_q5_0), 0},
    {7, NAME(encode_q5_1), NAME(weigh_q5_1), 0},
    {8, NAME(encode_q8_0), NAME(encode_q8_0), 0},
    {10, NAME(encode_q2_k), NAME(weigh_q2_k), 0},
    {11, NAME(encode_q3_k), NAME(weigh_q3_k), 0},
    {12, NAME(encode_q4_k), NAME(weigh_q4_k), 0},
    {13, NAME(encode_q5_k), NAME(weigh_q5_k), 0},
    {14, NAME(encode_q6_k), NAME(weigh_q6_k), 0},
    {20, NAME(encode_iq4_nl), NAME(weigh_iq4_nl), 0},
    {23, NAME(encode_iq4_xs), NAME(weigh_iq4_xs), 0},
    {39, NAME(encode_mxfp4), NAME(encode_mxfp4), 0},
    {40, NAME(encode_nvfp4), NAME(encode_nvfp4), 0},
};
