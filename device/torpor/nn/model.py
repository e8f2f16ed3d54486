# SPDX-License-Identifier: MIT
"""A model image made ready to run.

from torpor.nn.model import load
model = load("frost.tpm")
model.input[0] = -12
model.run()
print(model.output[0] - model.output_zero_point)
"""

import gc
import io
import sys

from ..compat import CPYTHON, const
from ..errors import ImageError
from .image import INT8, SIZES, TYPECODES, Image, zeros

_LARGE = const(4096)  # an image for which memory matters more than the milliseconds of a collection


def load(path, kernels=None, weights=None):
    """Return the Model in file `path`. Raises OSError (no such file), ImageError, ImportError (no ulab)."""
    f = open(path, "rb")
    model = None
    try:
        model = Model(f, kernels, weights)
        return model
    finally:
        if model is None or model.weights != "stream":
            f.close()


class Model:
    """`data`: the image as bytes, or an open binary file.

    weights: "rom": seen where they lie, in `data` if it is bytes or a file in ROMFS, ValueError for others;
    "ram": read now, `data` is not needed later; "stream": read for each record in each run, through one
    buffer, so that a file must stay open. None: the first of them that there is memory for; `.weights` says
    which.

    kernels: "reference", "ulab", "viper", "native", or None for the first there is: native where the module
    `torpor_native` lies on the board and knows all operators, viper, ulab, reference; `.kernels` says which.
    `.input`, `.output` are views of the first input and output tensor, flat, row-major: int8 as a memoryview
    of signed bytes, int16, int32 and float32 as a words.View; `.inputs`, `.outputs` all of them. Write all of
    the input before each run(): its memory is used again once it has been read. run() allocates nothing with
    the reference kernels where integers of 62 bits are no heap objects.
    `.state`: a writable memoryview of the bytes that a streaming model keeps from run to run, empty for any
    other. Saved, through deep sleep say, and written back into it, they let another Model of the same image
    go on where this one was, whatever its kernels. reset() makes them what they were at first.
    Raises ImageError(what, offset) for an image that is bad or does not fit the memory.
    """

    def __init__(self, data, kernels=None, weights=None):
        if kernels not in (None, "reference", "ulab", "viper", "native"):
            raise ValueError("kernels")
        if weights not in (None, "rom", "ram", "stream"):
            raise ValueError("weights")
        block = None
        if weights in (None, "rom"):
            try:
                block = memoryview(data)
            except TypeError:
                if weights:
                    raise ValueError("weights") from None
        image = Image(data if hasattr(data, "readinto") else io.BytesIO(data))
        modes = (weights,) if weights else ("ram" if block is None else "rom", "stream")
        self._steps = None
        if kernels in (None, "native"):
            native = self._find_native(kernels is None)
            if native:
                self._prepare(image, block, native, kernels is None, modes, True)
        if self._steps is None and kernels != "native":
            self._prepare(image, block, self._find(kernels), False, modes, False)
        if self._steps is None:
            raise ImageError("memory", image.at)
        image.forget()
        self._states = image.states
        if image.states:
            self.reset()
        self.macs = image.macs
        _, _, _, self.input_scale, self.input_zero_point, self.input_shape = image.inputs[0]
        _, _, _, self.output_scale, self.output_zero_point, self.output_shape = image.outputs[0]

    def _prepare(self, image, block, bind, optional, modes, native):
        """Set .weights and the steps, by the first of `modes` that there is memory for; if there is none, no
        steps. `optional`: native kernels need not know all records."""
        for mode in modes:
            self.inputs = self.outputs = self.input = self.output = None
            image.forget()
            image.load = image.read
            try:
                arena = self._make_views(image)
                if native:
                    if mode == "stream":
                        steps = bind.stream(image, arena, optional)
                    else:
                        steps = bind.bind(image, block, arena, optional)
                elif mode == "stream":
                    steps = self._streamed(bind, image, arena)
                else:
                    if mode == "rom":
                        from .weights import Rom

                        image.load = Rom(block, image.read).load
                    steps = self._bound(bind, image, arena)
                if steps is not None:
                    self._steps = steps
                    self.weights = mode
                    return
            except MemoryError:
                pass
            arena = None

    def _streamed(self, bind, image, arena):
        from .weights import Stream, fill

        stream = Stream(image.read, image.fill)
        image.load = stream.load
        for code, args in image.operators():
            image.forget()
            gc.collect()
            stream.next()
            bind(code, args, image, arena)
        image.forget()
        stream.allocate()
        steps = []
        for code, args in image.operators():
            stream.next()
            step = bind(code, args, image, arena)
            if stream.reads:
                steps.append((fill, (image.stream, stream.reads)))
            steps.append(step)
        return steps

    def _bound(self, bind, image, arena):
        steps = []
        for code, args in image.operators():
            if image.length > _LARGE:
                gc.collect()  # what the last record left behind would part the free memory in two
            steps.append(bind(code, args, image, arena))
        return steps

    def _make_views(self, image):
        if image.length > _LARGE:
            gc.collect()
        arena = zeros("b", image.ram_bytes)
        view = memoryview(arena)
        self.inputs = tuple([_view(view, t) for t in image.inputs])
        self.outputs = tuple([_view(view, t) for t in image.outputs])
        self.input = self.inputs[0]
        self.output = self.outputs[0]
        self._kept = view[: image.state_bytes]
        # a signed view takes no bytes on CPython; MicroPython's does
        self.state = self._kept.cast("B") if CPYTHON else self._kept
        return arena

    def _find_native(self, optional):
        try:
            import torpor_native  # noqa: F401 (most boards end here)

            from . import native
        except ImportError:
            if not optional:
                raise
            return None
        self.kernels = "native"
        return native

    def _find(self, kernels):
        if kernels in (None, "viper"):
            try:
                from .viper_kernels import bind

                self.kernels = "viper"
                return bind
            except (ImportError, AttributeError, SyntaxError):  # no such file, or no viper in this firmware
                if kernels is not None:
                    raise ImportError("viper") from None
        if kernels in (None, "ulab"):
            try:
                import ulab  # noqa: F401 (most boards end here, without reading the kernels)

                from .ulab_kernels import bind

                self.kernels = "ulab"
                return bind
            except ImportError:
                if kernels is not None:
                    raise
        try:
            from .reference import bind
        except ImportError:
            if kernels is None and "torpor_native" in sys.modules:
                raise MemoryError from None  # only native kernels are here, and there was no room for them
            raise
        self.kernels = "reference"
        return bind

    def reset(self):
        """Forget all that earlier runs have left, as a new Model would."""
        for at, size, first in self._states:
            fill = isinstance(first, int)
            for i in range(size):
                self._kept[at + i] = first if fill else first[i]

    def run(self):
        """Compute the outputs from the inputs."""
        for kernel, args in self._steps:
            kernel(args)


def _view(arena, tensor):
    dtype, offset, size, _, _, _ = tensor
    view = arena[offset : offset + size]
    if dtype == INT8:
        return view
    from .words import View

    return View(view, TYPECODES[dtype], SIZES[dtype])
