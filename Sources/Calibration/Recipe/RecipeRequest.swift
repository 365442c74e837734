package import Formats
internal import Mixes
internal import Platform

/// A format whose types a recipe may choose.
package enum RecipeTarget: String, Sendable, CaseIterable {
  /// A file for llama.cpp, a type for each tensor.
  case gguf
  /// A folder for mlx-lm, bits and groups for each module.
  case mlx
  /// A checkpoint in compressed-tensors' formats, a scheme for each module.
  case compressedTensors = "compressed-tensors"
}

/// What a recipe is asked for.
package struct RecipeRequest: Sendable {
  /// What the recipe must keep to.
  package enum Goal: Sendable {
    /// Bits per weight of the whole file at most.
    case bitsPerWeight(Double)
    /// Bytes of its tensors at most.
    case bytes(Int)
    /// Predicted mean KL divergence at most, the file being as small as can be.
    case divergence(Double)
  }

  /// The format that it is for.
  package var target = RecipeTarget.gguf
  /// Token sequences to measure on.
  package var sequences: [[Int]]
  /// What the text is called.
  package var text: String
  /// What it must keep to.
  package var goal: Goal
  /// Types to choose from, by the names that they have in recipes; nil for all that are usual at
  /// this size.
  package var types: [String]?
  /// Groups of tensors that get one type, at most.
  package var groups = 20
  /// What columns weigh.
  package var importance: ImportanceMatrix?
  /// Whether standard mixes are measured too, and what the best choices of all sizes lose is told.
  package var drawsCurve = false
  /// What was measured before, which is not measured again.
  package var evidence: RecipeEvidence?
  /// Bytes that the recipe may have: no more than what is read again.
  package var mostBytes = RecipeSize.most
  /// Threads to work with.
  package var threads = Workers.available
  /// Bytes that the process may take; nil for the customary limit.
  package var memory: Int?

  /// Asks for a recipe.
  package init(sequences: [[Int]], text: String, goal: Goal) {
    (self.sequences, self.text, self.goal) = (sequences, text, goal)
  }
}
