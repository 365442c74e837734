/// Tokens by their bytes, from the last to the first, one byte per level: the automaton of Aho and
/// Corasick (1975), which goes over a text once, from its end to its start.
///
/// At each place it is in the deepest node whose bytes stand there, so that the longest token which
/// begins there is known, however many tokens begin alike: a search from each place on its own would
/// look at all of a token's bytes again and again.
struct TokenTree: Sendable {
  private let tokens: [AddedTokens.Token]
  /// Nodes below a node (upper bits) by their byte (lowest eight); the root is 0.
  private var children: [Int: Int32] = [:]
  /// The deepest node whose bytes are the beginning of a node's, other than that itself.
  private var shorter: [Int32] = [0]
  /// The longest token that a node's bytes begin with; −1 for none.
  private var longest: [Int32] = [-1]
  /// Whether a token ends with a byte: most places of a text need no more than this.
  private var ends = [Bool](repeating: false, count: 256)

  /// Takes tokens of distinct texts.
  init(_ tokens: [AddedTokens.Token]) {
    self.tokens = tokens
    // Nodes by their depth, each with its parent and its byte: `shorter` of a node is less deep.
    var levels: [[(node: Int, parent: Int, byte: UInt8)]] = []
    for (index, token) in tokens.enumerated() where !token.text.isEmpty {
      ends[Int(token.text[token.text.count - 1])] = true
      var node = 0
      for (depth, byte) in token.text.reversed().enumerated() {
        if let child = children[TokenTree.key(node, byte)] {
          node = Int(child)
          continue
        }
        let child = longest.count
        children[TokenTree.key(node, byte)] = Int32(child)
        longest.append(-1)
        if depth == levels.count { levels.append([]) }
        levels[depth].append((child, node, byte))
        node = child
      }
      longest[node] = Int32(index)
    }
    shorter = [Int32](repeating: 0, count: longest.count)
    for (node, parent, byte) in levels.dropFirst().joined() {
      shorter[node] = Int32(next(Int(shorter[parent]), byte))
      if longest[node] < 0 { longest[node] = longest[Int(shorter[node])] }
    }
  }

  private static func key(_ node: Int, _ byte: UInt8) -> Int { node << 8 | Int(byte) }

  /// The deepest node whose bytes stand where `byte` does, if those of `node` stand behind it.
  private func next(_ node: Int, _ byte: UInt8) -> Int {
    var node = node
    while true {
      if let child = children[TokenTree.key(node, byte)] { return Int(child) }
      if node == 0 { return 0 }
      node = Int(shorter[node])
    }
  }

  /// The places of a range of a text where tokens begin, each with the longest; the last one first.
  private func places(in text: [UInt8], _ range: Range<Int>) -> [(start: Int, token: Int)] {
    var places: [(start: Int, token: Int)] = []
    var node = 0
    for position in range.reversed() {
      let byte = text[position]
      if node == 0, !ends[Int(byte)] { continue }
      node = next(node, byte)
      if longest[node] >= 0 { places.append((position, Int(longest[node]))) }
    }
    return places
  }

  /// Cuts a range of a text into tokens and what lies between them.
  func parts(of text: [UInt8], in range: Range<Int>) -> [AddedTokens.Part] {
    guard !tokens.isEmpty else { return range.isEmpty ? [] : [.text(range)] }
    var places = places(in: text, range)
    var parts: [AddedTokens.Part] = []
    var position = range.lowerBound
    // The end of what has been dealt with; a token's white space may reach beyond `position`.
    var done = range.lowerBound
    // The end of white space that was gone over last: what ends within it ends there.
    var spaceEnd = range.lowerBound
    while let place = places.popLast() {
      guard place.start >= position else { continue }
      let token = tokens[place.token]
      var start = place.start
      var stop = start + token.text.count
      position = stop
      if token.isSingleWord {
        let joinsLeft = WordBoundary.isWord(before: start, in: text, range)
        if joinsLeft || WordBoundary.isWord(at: stop, in: text, range) { continue }
      }
      if token.stripsLeft {
        start = WordBoundary.spaceStart(before: start, in: text, done..<range.upperBound)
      }
      if token.stripsRight {
        if stop > spaceEnd { spaceEnd = WordBoundary.spaceEnd(after: stop, in: text, range) }
        stop = spaceEnd
      }
      if done < start { parts.append(.text(done..<start)) }
      parts.append(.token(token.id))
      done = stop
    }
    if done < range.upperBound { parts.append(.text(done..<range.upperBound)) }
    return parts
  }
}
