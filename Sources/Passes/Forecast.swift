internal import Codecs
internal import Formats
internal import Models
package import Platform
internal import Reports
internal import Tensors
internal import Weights

/// How long a forward pass will take, said before a long one starts.
package struct Forecast: Sendable {
  /// Bytes of weights that will be read.
  package let bytes: Int
  /// Multiplications and additions.
  package let operations: Double
  /// Bytes a second that were read from the files just now.
  let readingRate: Double
  /// Operations a second that products reached just now.
  let computingRate: Double

  /// Seconds, reading and computing going on at the same time.
  package var seconds: Double {
    max(Double(bytes) / readingRate, operations / computingRate)
  }

  /// Work that takes less than this needs no announcement.
  private static let shortest = 10.0
  /// What an unusually fast machine would do; nothing is measured for work that it does at once.
  private static let (fastestReading, fastestThread) = (2e10, 2e11)
  /// The share of a small product's speed that whole passes reach.
  private static let usualShare = 0.75

  /// Nil where the work is short.
  ///
  /// - Parameters:
  ///   - lengths: tokens of each sequence.
  ///   - passes: how often all weights are read.
  ///   - mtpLayers: MTP layers that take part.
  package init?(
    _ files: ModelFiles, lengths: [Int], passes: Int, mtpLayers: Int, threads: Int
  ) throws(Fault) {
    let work = Forecast.work(files, lengths: lengths, mtpLayers: mtpLayers)
    bytes = work.bytes * passes
    operations = work.operations
    let least = max(
      Double(bytes) / Forecast.fastestReading,
      operations / (Forecast.fastestThread * Double(threads)))
    let inventory = files.checkpoint.inventory
    guard least * 20 > Forecast.shortest, !inventory.shards.isEmpty else { return nil }
    readingRate = try Forecast.measureReading(inventory)
    computingRate = Forecast.usualShare * Double(threads) * Forecast.measureComputing()
    guard seconds >= Forecast.shortest else { return nil }
  }

  private init(bytes: Int, operations: Double, readingRate: Double, computingRate: Double) {
    self.bytes = bytes
    self.operations = operations
    self.readingRate = readingRate
    self.computingRate = computingRate
  }

  /// Two passes one after the other, of which one may be short.
  package static func sum(_ one: Forecast?, _ other: Forecast?) -> Forecast? {
    guard let one, let other else { return one ?? other }
    return Forecast(
      bytes: one.bytes + other.bytes, operations: one.operations + other.operations,
      readingRate: min(one.readingRate, other.readingRate),
      computingRate: min(one.computingRate, other.computingRate))
  }

  /// `about 13 min: 641.28 GiB of weights at 0.9 GB/s, 37.9 TFLOP at 160 GFLOP/s`
  package var text: String {
    let minutes = Int(seconds / 60)
    let time =
      minutes >= 120
      ? "\(minutes / 60) h \(minutes % 60) min"
      : minutes >= 2 ? "\(minutes) min" : "\(Int(seconds)) s"
    return "about \(time): \(Quantity.bytes(bytes)) of weights at "
      + "\(Quantity.fixed(readingRate / 1e9, digits: 1)) GB/s, "
      + "\(Quantity.fixed(operations / 1e12, digits: 1)) TFLOP at "
      + "\(Quantity.fixed(computingRate / 1e9, digits: 0)) GFLOP/s"
  }

  /// What one pass reads and computes.
  private static func work(
    _ files: ModelFiles, lengths: [Int], mtpLayers: Int
  ) -> (bytes: Int, operations: Double) {
    let config = files.config
    let tokens = lengths.reduce(0, +)
    let share = Double(config.expertsPerToken) / Double(max(1, config.routedExperts))
    // The chance that one of the tokens at least uses an expert.
    let used = 1 - Mathematics.pow(1 - min(1, share), Double(tokens))
    var (bytes, products) = (0.0, 0.0)
    for tensor in config.expectedTensors() {
      guard let stored = files.weights[tensor.name], tensor.part != .embeddingCopy,
        tensor.part != .headCopy, tensor.part != .embedding || config.tiedEmbeddings,
        (tensor.layer ?? 0) < config.layers + mtpLayers
      else { continue }
      // The head is read and used once more for each MTP layer.
      let times = tensor.part == .head || tensor.part == .embedding ? 1 + mtpLayers : 1
      bytes += Double(stored.byteCount * times) * (tensor.isRouted ? used : 1)
      guard tensor.shape.dimensions.count == 2, tensor.storage != .scale else { continue }
      products += Double(tensor.shape.elementCount * times * tokens) * (tensor.isRouted ? share : 1)
    }
    let perPair = config.heads * (config.queryHeadSize + config.valueHeadSize)
    for length in lengths {
      if let indexer = config.indexer, length > indexer.topK {
        let layers = (0..<config.layers + mtpLayers).count(where: config.hasIndexer)
        products +=
          Double(length) * Double(length) / 2 * Double(indexer.heads * indexer.headSize)
          * Double(layers)
      }
      products +=
        Double(length) * Double(length) / 2 * Double(perPair)
        * Double(config.layers + mtpLayers)
    }
    return (Int(bytes), 2 * products)
  }

  /// Reads some pieces of the largest file.
  private static func measureReading(_ inventory: Inventory) throws(Fault) -> Double {
    let files = inventory.shards.map(\.file)
    guard let file = files.max(by: { $0.size < $1.size }) else { return fastestReading }
    let piece = min(8 << 20, file.size / 4)
    let buffer = ByteBuffer(count: piece)
    let streams = files.reduce(0) { $0 + $1.size } > Workers.physicalMemory / 2
    let clock = ContinuousClock()
    let start = clock.now
    for place in 1...3 {
      let offset = file.size / 4 * place
      // What little of a large model is in the page cache says nothing about the rest.
      if streams { file.dropCache(at: offset, count: piece) }
      try file.read(
        at: offset,
        into: UnsafeMutableRawBufferPointer(
          rebasing: buffer.bytes[..<min(piece, file.size - offset)]))
    }
    return Double(3 * piece) / max(1e-6, (clock.now - start) / .seconds(1))
  }

  /// A product that stays in the caches, on this thread: operations a second.
  private static func measureComputing() -> Double {
    let (rows, size) = (240, 256)
    let (x, y, w) = (
      ByteBuffer(count: 4 * rows * size), ByteBuffer(count: 4 * rows * size),
      ByteBuffer(count: 2 * size * size)
    )
    x.bytes.initializeMemory(as: UInt8.self, repeating: 0)
    w.bytes.initializeMemory(as: UInt8.self, repeating: 0)
    let weight = WeightMatrix(type: .bf16, rows: size, columns: size, storage: w)
    let (left, right) = (
      FloatMatrix(
        x.bytes.assumingMemoryBound(to: Float.self).baseAddress!, rows: rows, columns: size),
      MutableFloatMatrix(
        y.bytes.assumingMemoryBound(to: Float.self).baseAddress!, rows: rows, columns: size)
    )
    let scratch = ProductScratch()
    let clock = ContinuousClock()
    var best = Double.infinity
    for _ in 0..<5 {
      let start = clock.now
      MatrixProduct.multiply(left, weight, rows: 0..<size, into: right, scratch: scratch)
      best = min(best, (clock.now - start) / .seconds(1))
    }
    return 2 * Double(rows * size) * Double(size) / max(1e-9, best)
  }
}
