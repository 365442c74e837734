package import Dialects
package import Formats
internal import Platform
internal import Tensors
package import Tiles

/// Everything that a conversion will write, known to the byte before it begins.
package struct Plan: Sendable {
  /// The recipe that it follows.
  package let recipe: Recipe
  /// Sizes of the buffers.
  package let buffers: BufferPlan
  let output: PlannedOutput
  /// What is written about the output; nil where nothing is.
  let manifest: PlannedManifest?

  /// The output's tensors; `layout` places them in files.
  package var tensors: [PlannedTensor] { output.tensors }
  /// Files, headers and offsets; its entries are those of `tensors`, in the same order.
  package var layout: OutputLayout { output.layout }
  /// Tensors of the source that are left out.
  package var dropped: [DroppedTensor] { output.dropped }
  /// What the user should know, that which is lost included.
  package var warnings: [String] { output.notices }
  /// What of the recipe no tensor heeds, a line each: patterns that match nothing.
  package var unheeded: [String] { output.unheeded }
  /// What the source says and the output cannot, a line each.
  package var lost: [String] { output.lost }

  /// Every file with its exact size, in the order in which they are written.
  package var files: [PlannedFile] {
    output.files
      + (manifest.map {
        [PlannedFile(name: $0.name, byteCount: $0.byteCount, kind: .manifest)]
      } ?? [])
  }

  /// The text of its manifest.
  func manifestText(_ model: SourceModel, _ source: PlannedManifest.Source) -> ManifestText {
    ManifestText(
      recipe: recipe, output: output, files: output.files, inventory: model.checkpoint.inventory,
      source: source)
  }

  /// Bytes of all files: what the output takes on disk.
  package var byteCount: Int { files.reduce(0) { $0 + $1.byteCount } }

  /// Most memory that a run takes, in bytes: buffers, tables and the program itself.
  package var peakMemory: Int {
    let names = tensors.count + dropped.count
    return buffers.byteCount + names * Plan.tableBytesPerTensor + Plan.programBytes
  }

  /// Measured: what inventory, expectations and plan take per tensor.
  static let tableBytesPerTensor = 1200
  /// Measured: the resident program with its libraries, before it opens anything.
  static let programBytes = 16 << 20
}
