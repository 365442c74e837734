package import Formats
package import Models
package import Platform
internal import Text
package import Weights

/// A folder of DeepSeek's model-parallel shards, read as a checkpoint.
package struct NativeModel {
  /// The files, each tensor under the stem of its file and its own name, and the `config.json` that
  /// DeepSeek's config amounts to.
  package let checkpoint: Checkpoint
  /// The typed config.
  package let config: ModelConfig
  /// The weights under Hugging Face's names.
  package let weights: SourceWeights
  /// What is assumed, a line each.
  package let notes: [String]

  /// Opens what was looked at.
  ///
  /// - Throws: `.malformed` where it is no sound set of shards, or its config is not one of this
  ///   family.
  package init(_ survey: CheckpointSurvey) throws(Fault) {
    let files = try Checkpoint(survey)
    try survey.requireOneDivision()
    let pieces = NativePieces(
      files.inventory.tensors, files: files.inventory.shards.map(\.name),
      document: survey.config)
    let (json, notes) = try pieces.config(file: survey.configFile)
    config = try ModelConfig(json: json, file: survey.configFile)
    weights = try NativeWeights.read(files.inventory, pieces, config: config)
    checkpoint = Checkpoint(
      folder: survey.folder, config: try NativeModel.adding(to: json, in: survey.folder),
      inventory: files.inventory)
    self.notes = notes
  }

  /// Special tokens, which only the settings of generation name beside these shards.
  private static func adding(to json: JSONValue, in folder: String) throws(Fault) -> JSONValue {
    guard case .object(var object) = json,
      let settings = try TokenizerFiles.json("generation_config.json", in: folder)
    else { return json }
    for key in ["bos_token_id", "eos_token_id", "pad_token_id"] where object[key] == nil {
      object[key] = settings[key]
    }
    return .object(object)
  }
}
