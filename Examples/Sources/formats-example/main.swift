import FathomFormats

let model = try GGUFFile(path: CommandLine.arguments[1])
print(model.metadata["general.architecture"]?.text ?? "of no architecture")
for tensor in model.tensors { print(tensor.name, tensor.type, tensor.shape) }

// Those tensors that a safetensors file may have go into one.
let plain = model.tensors.filter(\.type.isInSafetensors)
let writer = SafetensorsWriter(plain.map(\.info), metadata: [("format", "pt")])
try writer.write(to: CommandLine.arguments[2]) { tensor, output throws(FormatError) in
  if let stored = model[tensor.name] { try output.append(stored.read()) }
}
