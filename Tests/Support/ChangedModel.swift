import Foundation

extension Workspace {
  /// What `fathom validate` finds in a copy of a model of one file once its tensors are changed: a
  /// severity and a rule for each finding.
  ///
  /// - Parameters:
  ///   - model: the folder that is copied.
  ///   - name: the copy's name in this workspace.
  package func findings(
    in model: String, as name: String, _ change: (inout SafetensorsRewriter) -> Void
  ) throws -> [String] {
    let path = path(name)
    try FileManager.default.copyItem(atPath: model, toPath: path)
    var file = try SafetensorsRewriter(path + "/model.safetensors")
    change(&file)
    file.close()
    try file.write()
    let run = try FathomProcess("validate", path, "--format", "json")
    return try JSONDocument(run.output).list("findings").compactMap {
      "\($0.string("severity") ?? "") \($0.string("rule") ?? "")"
    }
  }
}
