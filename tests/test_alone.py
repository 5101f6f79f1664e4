from ferd.alone import Claim


def test_a_second_ferd_with_the_same_identity_is_told(caplog):
    first, second, other = Claim("ferd_test01"), Claim("ferd_test01"), Claim("ferd_test02")
    assert first.take()
    assert not second.take()
    assert "[node] id" in caplog.text
    assert other.take()
    first.release()
    first.release()
    assert second.take()
    second.release()
    other.release()
