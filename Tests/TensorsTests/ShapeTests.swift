import Tensors
import Testing

@Suite struct ShapeTests {
  @Test func productsAreCheckedForOverflow() {
    #expect(Shape([576, 7168])?.elementCount == 4_128_768)
    #expect(Shape([])?.elementCount == 1)
    #expect(Shape([3, 0, 5])?.elementCount == 0)
    #expect(Shape([1 << 32, 1 << 32]) == nil)
    #expect(Shape([1 << 32, 0, 1 << 32]) == nil)
    #expect(Shape([-1]) == nil)
  }

  @Test(
    arguments: [
      (ElementType.f4, 2, 1), (.f4, 3, nil), (.f6E2M3, 4, 3), (.f6E3M2, 5, nil), (.bf16, 5, 10),
      (.i64, Int.max, nil), (.bool, 7, 7), (.f8E8M0, 9, 9),
    ] as [(ElementType, Int, Int?)])
  func sizesAreCountedInBits(type: ElementType, elements: Int, bytes: Int?) {
    #expect(type.byteCount(elements: elements) == bytes)
  }
}
