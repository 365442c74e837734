/// Values, arrays, objects and their members that a document may have: json-c and the value that is
/// made of its tree need some hundred bytes for each, 350 for a member with its key, and a thousand
/// for an object.
///
/// A model has several documents, of which one alone is large: together they stay within what that
/// one may take.
package struct JSONLimits: Sendable, Hashable {
  /// Values of every kind.
  let values: Int
  /// Arrays among them.
  let arrays: Int
  /// Objects among them.
  let objects: Int
  /// Members of all objects.
  let members: Int

  /// Configs, settings and whatever else says a few things of a whole model: DeepSeek-V3's have two
  /// thousand values, a config that names each expert's matrices has 50,000.
  package static let document = JSONLimits(
    values: 200_000, arrays: 20_000, objects: 20_000, members: 100_000)

  /// The one document that a model's words stand in: DeepSeek-V3's tokenizer has 380,000 values, one
  /// object for each of its thousand added tokens, and in another spelling 130,000 arrays; Kimi-K2 has
  /// 164,000 words.
  package static let tokenizer = JSONLimits(
    values: 1_000_000, arrays: 400_000, objects: 50_000, members: 400_000)

  /// Lists that grow with what was done, and are read alone.
  package static let list = JSONLimits(
    values: 2_000_000, arrays: 500_000, objects: 100_000, members: 400_000)
}
