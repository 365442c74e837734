package import Platform

/// What is left of a download that was interrupted.
extension InputFolder {
  /// Endings that programs give to what they have of a file so far.
  private static let endings: [ExactText] = [
    ".incomplete", ".part", ".partial", ".crdownload", ".download", ".aria2", ".tmp",
  ]

  /// What there is of a file that is missing, to stand behind "there is"; nil for nothing.
  ///
  /// Hugging Face's programs keep it in `.cache/huggingface/download` of the folder, or among the
  /// `blobs` of their cache, under names of their own; others beside the place.
  package func beginning(of name: ExactText) -> String? {
    let names = (try? listing().names) ?? []
    for ending in InputFolder.endings where names.contains(name + ending) {
      return "\(name + ending)"
    }
    let below = Folder.join(path, ".cache/huggingface/download")
    let blobs = Folder.join(Folder.parent(of: Folder.parent(of: path)), "blobs")
    for folder in [below, blobs] {
      let names = (try? Folder.listing(of: folder).names) ?? []
      let parts = names.filter { $0.hasSuffix(".incomplete") }
      guard let first = parts.first else { continue }
      return parts.count == 1
        ? Folder.join(folder, first) : "\(parts.count) files *.incomplete in \(folder)"
    }
    return nil
  }

  /// A fault about a missing file with what to do, where a download of it was interrupted.
  package func explained(_ fault: Fault, missing name: ExactText) -> Fault {
    guard fault.kind == .notFound, fault.advice == nil, let beginning = beginning(of: name) else {
      return fault
    }
    var fault = fault
    fault.advice =
      "a download was interrupted (there is \(beginning)): run it again, \"hf download\" goes on "
      + "where it was"
    return fault
  }
}
