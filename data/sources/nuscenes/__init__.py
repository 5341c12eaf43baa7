"""nuScenes: JSON tables and map expansion, read without the devkit."""
