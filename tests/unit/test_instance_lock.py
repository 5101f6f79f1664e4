from ferd.instance_lock import InstanceLock


def test_a_second_ferd_with_the_same_identity_is_told(caplog):
    first, second, other = InstanceLock("ferd_test01"), InstanceLock("ferd_test01"), InstanceLock("ferd_test02")
    assert first.take()
    assert not second.take()
    assert "[node] id" in caplog.text
    assert other.take()
    first.release()
    first.release()
    assert second.take()
    second.release()
    other.release()
