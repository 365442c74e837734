/// Where a GGML type comes from that Fathom cannot decode.
package enum ForeignType: Sendable, Hashable {
  /// ik_llama.cpp, a fork of llama.cpp with types of its own, some of which interleave rows.
  case fork
  /// llama.cpp, which has taken it away since: rows were laid out for one kind of processor.
  case removed
  /// llama.cpp's own calculations; no file should have it.
  case inner
  /// Nobody that is known here.
  case unknown

  /// What it is, to stand behind a type's name.
  package var origin: String {
    switch self {
    case .fork: "a type of ik_llama.cpp"
    case .removed: "a type that llama.cpp has removed"
    case .inner: "a type of llama.cpp's calculations"
    case .unknown: "a type that is not known"
    }
  }

  /// What to do about a file that has it.
  package var advice: String {
    switch self {
    case .fork:
      "only ik_llama.cpp decodes it: take the original, or a GGUF file in types of llama.cpp"
    case .removed:
      "take a newer file of the model, in Q4_0 or IQ4_NL, which llama.cpp rearranges as it loads"
    case .inner, .unknown: "take another file of the model, or a newer version of fathom"
    }
  }
}

extension ElementType {
  /// Where the type comes from; nil for all that Fathom can measure.
  package var foreign: ForeignType? {
    if self == .unknown { return .unknown }
    if ElementType.forkIDs[self] != nil { return .fork }
    if ElementType.removedIDs[self] != nil { return .removed }
    return ElementType.innerIDs[self] != nil ? .inner : nil
  }

  /// Whether the type can be named, and neither measured nor decoded.
  package var isForeign: Bool { plainBits == nil && ElementType.foreignTypes.contains(self) }

  /// The type of a number that GGUF files of other programs and times have.
  package init(foreignID id: UInt32) { self = ElementType.foreignByID[id] ?? .unknown }

  private static let foreignTypes = Set(foreignByID.values).union([.unknown])

  private static let foreignByID = Dictionary(
    uniqueKeysWithValues: [forkIDs, removedIDs, innerIDs].joined().map { ($0.value, $0.key) })

  private static let removedIDs: [ElementType: UInt32] = [
    .q42: 4, .q43: 5, .q40x4x4: 31, .q40x4x8: 32, .q40x8x8: 33, .iq4NLx4x4: 36, .iq4NLx4x8: 37,
    .iq4NLx8x8: 38,
  ]

  private static let innerIDs: [ElementType: UInt32] = [.q81: 9, .q8K: 15]

  private static let forkIDs: [ElementType: UInt32] = [
    .q60: 133, .iq1BN: 134, .iq2BN: 135, .q8K64: 136, .iq2K: 137, .iq3K: 138, .iq4K: 139,
    .iq5K: 140, .iq6K: 141, .iq2TN: 142, .iq1TN: 143, .iq4KS: 144, .iq2KS: 145, .iq4KSS: 146,
    .q8K16: 147, .q8K32: 148, .q8KRow8: 149, .q8K128: 150, .q8KV: 151, .iq5KS: 152, .iq2KT: 153,
    .iq3KT: 154, .iq4KT: 155, .iq3KS: 156, .iq2KL: 157, .iq1KT: 158, .q40R8: 202, .q50R4: 206,
    .q80R8: 208, .q2KR4: 210, .q3KR4: 211, .q4KR4: 212, .q5KR4: 213, .q6KR4: 214, .iq2XXSR4: 216,
    .iq2XSR4: 217, .iq3XXSR4: 218, .iq1SR4: 219, .iq4NLR4: 220, .iq3SR4: 221, .iq2SR4: 222,
    .iq4XSR8: 223, .iq1MR4: 229, .bf16R16: 230, .q60R4: 233, .iq2BNR4: 335, .iq2KR4: 337,
    .iq3KR4: 338, .iq4KR4: 339, .iq5KR4: 340, .iq4KSR4: 344, .iq5KSR4: 352, .q8KR16: 397,
    .q8KVR8: 398, .q8KR8: 399,
  ]
}
