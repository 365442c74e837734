internal import Formats
internal import Models
internal import Platform

/// A folder of DeepSeek's model-parallel shards, read as a checkpoint.
struct NativeModel {
  /// The files, each tensor under the stem of its file and its own name, and the `config.json` that
  /// DeepSeek's config amounts to.
  let checkpoint: Checkpoint
  /// The typed config.
  let config: DeepSeekV3Config
  /// The weights under Hugging Face's names.
  let weights: SourceWeights
  /// What is assumed, a line each.
  let notes: [String]

  /// Opens what was looked at. Beside the shards may stand DeepSeek's own config, or Hugging Face's.
  ///
  /// - Throws: `.malformed` where it is no sound set of shards, or its config is not one of this
  ///   family.
  init(_ survey: CheckpointSurvey) throws(Fault) {
    let files = try Checkpoint(survey)
    let reader = try NativeWeights(files.inventory)
    var json = survey.config
    if NativeSource.isNative(json) {
      let source = try NativeSource(json, tensors: reader.wholes, file: survey.configFile)
      json = source.json
      notes = source.notes
    } else {
      notes = []
    }
    config = try DeepSeekV3Config(json: json, file: survey.configFile)
    weights = try reader.read(config)
    checkpoint = Checkpoint(folder: survey.folder, config: json, inventory: files.inventory)
  }
}
