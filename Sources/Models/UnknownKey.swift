/// A key of a config that is passed over and changes what is computed.
package struct UnknownKey: Sendable, Hashable {
  /// Its path in the document, as `rope_scaling.llama_4_scaling_beta`.
  package let name: String
  /// What it says there.
  package let value: String
  /// What it is about, for people; nil where nothing is known of it.
  package let meaning: String?

  /// Names a key.
  package init(name: String, value: String, meaning: String?) {
    self.name = name
    self.value = value
    self.meaning = meaning
  }
}
