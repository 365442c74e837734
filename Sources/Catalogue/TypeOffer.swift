/// A name that `--quant` takes, with what it gives.
package struct TypeOffer: Sendable, Hashable {
  /// What stands behind a name.
  package enum Kind: String, Sendable, Hashable {
    /// Plain numbers.
    case plain
    /// Blocks or groups of one kind, which share scales.
    case blocks
    /// A file type of llama.cpp, whose tensors have several types.
    case mix
  }

  /// Tensors of one type in a mix.
  package struct Part: Sendable, Hashable {
    /// The type's name.
    package let type: String
    /// Its share of all weights, from 0 to 1.
    package let share: Double
  }

  /// The name, as people write it; any case will do.
  package let name: String
  /// What stands behind it.
  package let kind: Kind
  /// Bits that a weight takes with its part of the scales; of a mix the mean over all tensors of the
  /// model that the list is about.
  package let bitsPerWeight: Double
  /// Signal to noise of normally distributed weights, in dB; nil where nothing is lost.
  package let signalToNoise: Double?
  /// Whether it takes an importance matrix to write it.
  package let needsImportance: Bool
  /// What a mix is made of, the largest share first; empty for others.
  package let parts: [Part]
  /// What it keeps, or what it leaves as it is; nil where there is nothing to say.
  package let note: String?

  init(
    _ name: String, _ kind: Kind, bitsPerWeight: Double, signalToNoise: Double?,
    needsImportance: Bool = false, parts: [Part] = [], note: String? = nil
  ) {
    self.name = name
    self.kind = kind
    self.bitsPerWeight = bitsPerWeight
    self.signalToNoise = signalToNoise
    self.needsImportance = needsImportance
    self.parts = parts
    self.note = note
  }
}

/// A target of `fathom convert --to`, with all that it can be given.
package struct TargetOffer: Sendable {
  /// The target's name.
  package let target: String
  /// What `--quant` takes.
  package let types: [TypeOffer]
  /// What single tensors can be given (`--tensor-type`, recipe files); empty where types are chosen
  /// for all tensors together.
  package let tensorTypes: [TypeOffer]
  /// What holds for all of the names.
  package let remarks: [String]
}
