internal import Platform

/// Folders whose files are no checkpoint, and what to do about them.
extension CheckpointSurvey {
  /// A fault about something that the folder lacks, with what lies there instead.
  func explained(_ fault: Fault) -> Fault {
    guard fault.kind == .notFound, fault.advice == nil else { return fault }
    var fault = fault
    let names = (try? files.listing().names) ?? []
    if let pickle = names.first(where: CheckpointSurvey.isPickle) {
      fault.found = "weights as pickles, \(pickle)"
      fault.advice = FileNature.pickle.advice
    } else if names.contains("adapter_config.json") {
      fault.found = "adapter_config.json, of an adapter"
      fault.advice = "merge the adapter into its base model first"
    } else {
      fault = files.explained(fault, missing: "config.json")
    }
    return fault
  }

  /// Whether a file is one of PyTorch's own format, by its name.
  private static func isPickle(_ name: ExactText) -> Bool {
    let isWeights = name.hasPrefix("pytorch_model") || name.hasPrefix("consolidated")
    return name.hasSuffix(".bin") && name.hasPrefix("pytorch_model")
      || isWeights && (name.hasSuffix(".pt") || name.hasSuffix(".pth"))
      || name.hasSuffix(".pth") || name.hasSuffix(".ckpt") || name == "adapter_model.bin"
  }
}
