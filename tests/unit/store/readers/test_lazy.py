import numpy as np
import pytest

from image_files import ramp
from tomolith.store.readers.lazy import PageArray, SourceArray

IMAGE = ramp((4, 6, 8))


class CountingPage:
    def __init__(self, image):
        self.image, self.n_read = image, 0

    def read(self, rows, columns):
        self.n_read += 1
        return self.image[rows, columns]


@pytest.mark.parametrize(
    "index",
    [
        (slice(1, 3), slice(0, 6), slice(2, 5)),
        (slice(None), slice(-2, None), slice(None)),
        (1,),
        (slice(0, 2), -1),
        (slice(3, 1), slice(None), slice(None)),
        (0, 0, 0),
        slice(1, 2),
    ],
)
def test_indexing_is_that_of_numpy(index):
    array = PageArray([CountingPage(page) for page in IMAGE], (6, 8), IMAGE.dtype)
    np.testing.assert_array_equal(array[index], IMAGE[index])
    assert array.ndim == 3


@pytest.mark.parametrize("index", [(9,), (slice(None, None, 2),), (0, 0, 0, 0)])
def test_what_cannot_be_read_is_an_index_error(index):
    array = SourceArray(IMAGE, IMAGE.dtype)
    with pytest.raises(IndexError):
        array[index]


def test_only_pages_of_the_box_are_read():
    pages = [CountingPage(page) for page in IMAGE]
    array = PageArray(pages, (6, 8), IMAGE.dtype)
    array[1:3, 0:2, 0:2]
    array[1:3, 2:2, 0:2]
    assert [page.n_read for page in pages] == [0, 1, 1, 0]
