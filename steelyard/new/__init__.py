"""What `bench new` writes: skeletons of a suite, runner, driver, report or hardware profile of a user's own."""
