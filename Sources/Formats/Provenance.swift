/// What a file of weights says of its own making: `fathom.*` in safetensors' `__metadata__` or among
/// the keys of a GGUF file.
///
/// A header stands before the weights and is written first, so that it has what a plan knows: the
/// source's hashes are taken before, in a reading of their own, those of the output are in the
/// manifest that it names.
package enum Provenance {
  /// What its keys begin with.
  package static let prefix = "fathom."
  /// Version of the program.
  package static let version = prefix + "version"
  /// What was asked for, as in the manifest.
  package static let recipe = prefix + "recipe"
  /// The last name of the source's folder or file.
  package static let source = prefix + "source"
  /// The source's format.
  package static let format = prefix + "source.format"
  /// Types with what became of the values, why, and of how many tensors.
  package static let decisions = prefix + "decisions"
  /// File name of the manifest, where there is one.
  package static let manifest = prefix + "manifest"
  /// Content hash of the whole source.
  package static let checkpoint = prefix + "source.checkpoint"
  /// Content hashes of the tensors that a file's own are made from, lines as `fathom hash` prints.
  package static let hashes = prefix + "source.hashes"
}
