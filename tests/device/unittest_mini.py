# SPDX-License-Identifier: MIT
"""The part of `unittest` that the device suite uses, for interpreters that ship without it.

Same names and meanings as CPython's; each device test does
`try: import unittest` / `except ImportError: import unittest_mini as unittest`.
"""

import sys


class SkipTest(Exception):
    pass


class _Raises:
    def __init__(self, kinds):
        self.kinds = kinds
        self.exception = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            raise AssertionError("%r not raised" % (self.kinds,))
        self.exception = value
        return issubclass(kind, self.kinds)


class TestCase:
    def setUp(self):
        pass

    def tearDown(self):
        pass

    def skipTest(self, why):
        raise SkipTest(why)

    def fail(self, msg=""):
        raise AssertionError(msg)

    def assertEqual(self, a, b, msg=""):
        if not a == b:
            raise AssertionError("%r != %r %s" % (a, b, msg))

    def assertNotEqual(self, a, b, msg=""):
        if a == b:
            raise AssertionError("%r == %r %s" % (a, b, msg))

    def assertTrue(self, a, msg=""):
        if not a:
            raise AssertionError("%r is not true %s" % (a, msg))

    def assertFalse(self, a, msg=""):
        if a:
            raise AssertionError("%r is not false %s" % (a, msg))

    def assertIs(self, a, b, msg=""):
        if a is not b:
            raise AssertionError("%r is not %r %s" % (a, b, msg))

    def assertIsNone(self, a, msg=""):
        if a is not None:
            raise AssertionError("%r is not None %s" % (a, msg))

    def assertIn(self, a, b, msg=""):
        if a not in b:
            raise AssertionError("%r not in %r %s" % (a, b, msg))

    def assertLess(self, a, b, msg=""):
        if not a < b:
            raise AssertionError("%r not < %r %s" % (a, b, msg))

    def assertLessEqual(self, a, b, msg=""):
        if not a <= b:
            raise AssertionError("%r not <= %r %s" % (a, b, msg))

    def assertAlmostEqual(self, a, b, delta):
        if abs(a - b) > delta:
            raise AssertionError("%r != %r within %r" % (a, b, delta))

    def assertRaises(self, kinds, func=None, *args):
        context = _Raises(kinds)
        if func is None:
            return context
        with context:
            func(*args)


def run(module):
    """Run every TestCase in `module`; print one line a test; return (passed, failed, skipped)."""
    passed = failed = skipped = 0
    for name in sorted(dir(module)):
        case = getattr(module, name)
        if not (isinstance(case, type) and issubclass(case, TestCase) and case is not TestCase):
            continue
        for method in sorted(dir(case)):
            if not method.startswith("test"):
                continue
            test = case()
            label = "%s.%s.%s" % (module.__name__, name, method)
            try:
                test.setUp()
                try:
                    getattr(test, method)()
                finally:
                    test.tearDown()
                passed += 1
                print("ok", label)
            except SkipTest as e:
                skipped += 1
                print("skip", label, e)
            except Exception as e:
                failed += 1
                print("FAIL", label)
                sys.print_exception(e)
    return passed, failed, skipped
