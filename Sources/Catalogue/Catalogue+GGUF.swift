internal import Codecs
internal import Dialects
internal import Formats
internal import Mixes
internal import Models
internal import Naming
internal import Platform
internal import Tensors

extension Catalogue {
  /// llama.cpp's file types, weighed on the tensors of a model, and the types of single tensors.
  static func gguf(
    _ config: ModelConfig, _ weights: NormalWeights
  ) throws(Fault) -> TargetOffer {
    let tensors = config.ggufTensors().map { tensor in
      TypeMix.Tensor(
        name: tensor.name, extents: tensor.shape.dimensions.reversed(),
        type: tensor.fixedTypeInGGUF(of: config) ?? .f32)
    }
    let (before, after) = config.ggufMetadata
    var metadata = before
    metadata.merge(after)
    let model = TypeMix.Model(metadata, architecture: config.architecture.ggufName)
    let types = ElementType.allCases.filter {
      $0.isBlock && Codec.codec(for: $0)?.isWritable == true
    }
    let losses = Dictionary(
      uniqueKeysWithValues: (types + [.f32, .f16, .bf16]).map {
        // Whoever writes these has a matrix.
        ($0, weights.signalToNoise(of: $0, isWeighed: TypeMix.demandsImportance($0)))
      })
    var offers: [TypeOffer] = []
    var obstacles: [String] = []
    for file in GGUFFileType.allCases {
      do throws(Fault) {
        offers.append(try mix(file, tensors, model, losses))
      } catch {
        // Rows of some networks have no whole blocks of a type that has no fallback.
        obstacles.append("\(file.name.lowercased()) is not written of this model: \(error)")
      }
    }
    return TargetOffer(
      target: "gguf", types: offers,
      tensorTypes: ([.f32, .f16, .bf16] + types).map { type in
        TypeOffer(
          type.rawValue.lowercased(), type.isBlock ? .blocks : .plain,
          bitsPerWeight: bitsPerWeight(type), signalToNoise: losses[type] ?? nil,
          needsImportance: TypeMix.demandsImportance(type),
          note: type.block.map { "\($0.elements) weights in \($0.bytes) bytes" })
      },
      remarks: obstacles + [
        "Norms, routers and vectors are F32 in every file. Rows that a type's blocks do not divide "
          + "fall back to a larger one.",
        "With --imatrix bits are spent where they count, which no figure here shows; 'needed' says "
          + "that llama-quantize and Fathom refuse to write without.",
      ])
  }

  private static func bitsPerWeight(_ type: ElementType) -> Double {
    type.block.map { 8 * Double($0.bytes) / Double($0.elements) } ?? Double(type.bits)
  }

  /// A file type: its tensors, as llama-quantize chooses them.
  private static func mix(
    _ file: GGUFFileType, _ tensors: [TypeMix.Tensor], _ model: TypeMix.Model,
    _ losses: [ElementType: Double?]
  ) throws(Fault) -> TypeOffer {
    let recipe = GGUFRecipe(file)
    let choices: [TypeMix.Choice]
    var needsImportance = false
    do throws(Fault) {
      choices = try TypeMix(recipe, tensors: tensors, model: model).choices
    } catch {
      needsImportance = true
      choices = try TypeMix(
        recipe, tensors: tensors, model: model, importance: Set(tensors.map(\.name))
      ).choices
    }
    var counts: [ElementType: Int] = [:]
    for choice in choices {
      counts[choice.type, default: 0] += choice.tensor.extents.reduce(1, *)
    }
    let all = Double(counts.values.reduce(0, +))
    let parts = counts.map { ($0.key, Double($0.value) / all) }
      .sorted { ($1.1, $0.0.rawValue) < ($0.1, $1.0.rawValue) }
    let noise = parts.reduce(0.0) { sum, part in
      guard let loss = losses[part.0] ?? nil else { return sum }
      return sum + part.1 * Mathematics.pow(10, -loss / 10)
    }
    return TypeOffer(
      file.name.lowercased(), file.isQuantized ? .mix : .plain,
      bitsPerWeight: parts.reduce(0) { $0 + $1.1 * bitsPerWeight($1.0) },
      signalToNoise: noise > 0 ? -10 * Mathematics.log(noise) / Mathematics.log(10) : nil,
      needsImportance: needsImportance,
      parts: parts.map { TypeOffer.Part(type: $0.0.rawValue, share: $0.1) })
  }
}
