internal import Locks
package import Platform

/// MODEL arguments that lie elsewhere.
package enum RemoteModels {
  /// Reads what an argument names by its address, where it is one: `hf://ORG/NAME[@REVISION]`,
  /// `s3://BUCKET/FOLDER`, `https://…`, or plain `ORG/NAME` where nothing here is called so.
  ///
  /// Nobody is asked yet; that is left to whoever looks at the model.
  ///
  /// - Returns: what has to be said about it; nil for what needs no word.
  /// - Throws: `.usage` for an address that is none, or one that is not read.
  package static func prepare(_ argument: String) throws(Fault) -> OutputText? {
    let text = ExactText(argument)
    if let model = try HubName(argument) {
      try mount(model, at: mountPoint(of: argument, without: model.place))
      return nil
    }
    if text.hasPrefix("https://") || text.hasPrefix("http://") {
      try mount(address: argument)
      return nil
    }
    if let place = text.without(prefix: S3Folder.scheme) {
      try mount(bucket: place, argument)
      return nil
    }
    if let scheme = unknownScheme(text) {
      throw Fault(
        .usage, "addresses of this kind are not read", file: argument,
        expected: "hf://ORG/NAME, s3://BUCKET/FOLDER, https://…, or a folder or file",
        found: "\(scheme)://")
    }
    guard let model = HubName(plain: argument), try Folder.kind(of: argument) == nil,
      // A slip in a path of this machine is nobody else's business.
      try Folder.kind(of: Folder.parent(of: argument)) == nil
    else { return nil }
    try mount(model, at: argument)
    return
      "there is no folder \(argument) here: \(HubName.scheme)\(model.repository) is read from the hub"
  }

  /// An address without slashes at its end and without what stands behind the model.
  private static func mountPoint(of argument: String, without place: ExactText) -> String {
    var text = ExactText(argument)
    while text.hasSuffix("/") { text = text.without(suffix: "/") ?? text }
    return place.isEmpty ? text.text : (text.without(suffix: "/" + place) ?? text).text
  }

  private static func mount(_ model: HubName, at path: String) throws(Fault) {
    let settings = try HubSettings()
    try requirePermitted(settings.endpoint, isNamed: true)
    DistantPlaces.mount(
      settings.isOffline ? try HubCacheFolder(model, settings) : HubFolder(model, settings),
      at: path)
  }

  private static func mount(address argument: String) throws(Fault) {
    let address = try Address(argument)
    guard address.query == nil else {
      throw Fault(
        .usage, "an address with a query is not read", file: address.shown,
        expected: "the address of a folder or file")
    }
    // Pages of the hub are as good as its names.
    let settings = try HubSettings()
    if address.origin == settings.endpoint.origin,
      let (model, point) = hubModel(in: address, argument)
    {
      return try mount(model, at: point)
    }
    try requirePermitted(address, isNamed: false)
    let point = mountPoint(of: argument, without: "")
    let name = Folder.name(of: point)
    guard isFile(name) else {
      return DistantPlaces.mount(WebFolder(address, named: nil), at: point)
    }
    let folder = Folder.parent(of: point)
    DistantPlaces.mount(WebFolder(try Address(folder), named: name), at: folder)
  }

  /// A folder of a bucket, or a file in one.
  private static func mount(bucket place: ExactText, _ argument: String) throws(Fault) {
    let point = mountPoint(of: argument, without: "")
    let name = Folder.name(of: point)
    guard isFile(name) else {
      let folder = ExactText(point).without(prefix: S3Folder.scheme) ?? place
      return DistantPlaces.mount(try S3Folder(folder, argument: argument), at: point)
    }
    let folder = Folder.parent(of: point)
    let inner = ExactText(folder).without(prefix: S3Folder.scheme) ?? place
    DistantPlaces.mount(try S3Folder(inner, argument: argument), at: folder)
  }

  /// Whether an address that ends so is a file's; a server says of neither what it is.
  private static func isFile(_ name: ExactText) -> Bool {
    let endings: [ExactText] = [".safetensors", ".gguf", ".json"]
    return endings.contains(where: name.hasSuffix)
  }

  /// The model of a page of the hub, `ORG/NAME[/tree|resolve|blob/REVISION[/FILE]]`, and which part of
  /// the argument names its folder; nil for another page.
  private static func hubModel(
    in address: Address, _ argument: String
  ) -> (model: HubName, point: String)? {
    let parts = ExactText(address.path).split(separator: "/").filter { !$0.isEmpty }
    guard parts.count >= 2 else { return nil }
    let name = "\(HubName.scheme)\(parts[0])/\(parts[1])"
    let words: Set<ExactText> = ["tree", "resolve", "blob"]
    if parts.count == 2 {
      guard let model = try? HubName(name) else { return nil }
      return (model, mountPoint(of: argument, without: ""))
    }
    guard parts.count >= 4, words.contains(parts[2]),
      let model = try? HubName("\(name)@\(parts[3])")
    else { return nil }
    let rest = ExactText(parts.dropFirst(4).joined(separator: "/"))
    return (model, mountPoint(of: argument, without: rest))
  }

  /// Throws `.usage` for what anybody on the way could read and change.
  private static func requirePermitted(_ address: Address, isNamed: Bool) throws(Fault) {
    guard address.scheme == "http", !address.isLoopback, !isNamed else { return }
    throw Fault(
      .usage, "anybody on the way could change what is read over http", file: address.shown,
      expected: "https://, or a server of your own in HF_ENDPOINT")
  }

  private static func unknownScheme(_ text: ExactText) -> ExactText? {
    let parts = text.split(separator: ":", maxSplits: 1)
    guard parts.count == 2, parts[1].hasPrefix("//"), !parts[0].isEmpty,
      parts[0].utf8.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) })
    else { return nil }
    return parts[0]
  }

  /// Ends what goes on in the background; nothing is read afterwards.
  package static func finish() {
    guard Traffic.requests > 0 else { return }
    PieceStore.shared.stop()
    Transport.stop()
    Background.wait()
  }
}
