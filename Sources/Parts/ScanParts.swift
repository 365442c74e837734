package import Conversion
internal import Formats
package import Inspection
package import Platform

/// `fathom validate --deep` divided among runs: each looks at consecutive weights with about as many
/// bytes. What compares weights with each other is done in the end.
package struct ScanParts {
  private let model: String
  private let threads: Int
  private let files: [Shard]
  /// The files of the parts.
  package let results: PartResults

  /// Divides the weights of a model.
  ///
  /// - Throws: what opening it throws: of files that cannot be read there is nothing to divide.
  package init(model: String, threads: Int) throws(Fault) {
    let inventory = try Inventory(model: model, threads: threads)
    (self.model, self.threads) = (model, threads)
    files = inventory.shards
    results = PartResults(of: "validate", inventory, at: model)
  }

  /// Looks at the weights of a part and writes what was found.
  ///
  /// - Throws: `.inputOutput` where reading or writing fails, `.cannotCreate`, `.interrupted`.
  package func run(_ part: PartChoice, to destination: OutputPath) throws(Fault) {
    let scan = DividedScan(part)
    _ = try validation(by: scan)
    for shard in files { try shard.file.requireUnchanged() }
    try results.write(scan.found, of: part, to: destination)
  }

  /// What one run would say of the model.
  ///
  /// - Throws: as `PartResults.all(in:)` does, and as `Validation` does.
  package func merged(in folder: String) throws(Fault) -> Validation {
    let all = try results.all(in: folder)
    let parts = PartChoice.all(of: all.count)
    return try validation(
      by: DividedScan(results: all) { results.path(of: parts[$0 - 1], in: folder) })
  }

  private func validation(by scan: DividedScan) throws(Fault) -> Validation {
    let (model, threads) = (model, threads)
    let result = DividedScan.$current.withValue(scan) { () -> Result<Validation, Fault> in
      do throws(Fault) {
        return .success(try Validation(path: model, deep: true, threads: threads))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }
}
