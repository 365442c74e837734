// The kernels of a level, by GGML's number of the type.
#define ROW(type, name) {type, NAME(encode_##name), NAME(weigh_##name), NAME(decode_##name)}

const struct ggml_row NAME(ggml_rows)[GGML_ROWS] = {
    ROW(2, q4_0),
    ROW(3, q4_1),
    ROW(6, q5_0),
    ROW(7, q5_1),
    {8, NAME(encode_q8_0), NAME(encode_q8_0), NAME(decode_q8_0)},
    ROW(10, q2_k),
    ROW(11, q3_k),
    ROW(12, q4_k),
    ROW(13, q5_k),
    ROW(14, q6_k),
    ROW(20, iq4_nl),
    ROW(23, iq4_xs),
    {34, NAME(encode_tq1_0), NAME(encode_tq1_0), NAME(decode_tq1_0)},
    {35, NAME(encode_tq2_0), NAME(encode_tq2_0), NAME(decode_tq2_0)},
    {39, NAME(encode_mxfp4), NAME(encode_mxfp4), NAME(decode_mxfp4)},
    {40, NAME(encode_nvfp4), NAME(encode_nvfp4), NULL},
    {41, NAME(encode_q1_0), NAME(encode_q1_0), NAME(decode_q1_0)},
    {42, NAME(encode_q2_0), NAME(encode_q2_0), NAME(decode_q2_0)},
};

const struct grid_row NAME(grid_rows)[GRID_ROWS] = {
    {16, NAME(encode_iq2_xxs)}, {17, NAME(encode_iq2_xs)}, {18, NAME(encode_iq3_xxs)},
    {19, NAME(encode_iq1_s)},   {21, NAME(encode_iq3_s)},  {22, NAME(encode_iq2_s)},
    {29, NAME(encode_iq1_m)},
};
